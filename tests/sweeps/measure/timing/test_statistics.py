"""Intervals cover, percentiles need their samples, drift is told from noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal, stats

from analysis.contract.cells import MIN_SAMPLES
from sweeps.measure.timing.statistics import drift, iqr_ratio, median_interval, percentiles, slowing, stability

SHARES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}
times = st.lists(st.floats(min_value=1e-9, max_value=1e6, allow_nan=False), min_size=1, max_size=200)


@pytest.mark.parametrize("name", MIN_SAMPLES)
def test_minimums_follow_from_loadgens_rule(name: str) -> None:
    # LoadGen lets one sample be over the latency (and then reports the second largest) once so few over it would be
    # seen in only 1 % of the runs of a system whose true percentile is worse.
    over = 1 - SHARES[name]
    least = next(n for n in range(2, 10_000) if stats.binom.cdf(1, n, over) <= 0.01)
    assert MIN_SAMPLES[name] == least


@pytest.mark.parametrize("name", MIN_SAMPLES)
def test_percentiles_are_none_from_one_sample_too_few(name: str) -> None:
    samples = np.random.default_rng(0).exponential(size=MIN_SAMPLES[name])
    assert percentiles(samples[:-1])[name] is None
    assert percentiles(samples)[name] is not None


def test_percentiles_are_observed_values_rounded_up() -> None:
    found = percentiles(np.random.default_rng(1).permutation(np.arange(1.0, 1001.0)))
    assert found == {"p50": 500.0, "p90": 900.0, "p95": 950.0, "p99": 990.0, "p999": None}


@given(st.integers(min_value=6636, max_value=7000))
@settings(max_examples=50, deadline=None)
def test_percentiles_hold_their_share_of_the_samples_exactly(n: int) -> None:
    found = percentiles(np.arange(1.0, n + 1.0))
    for name, share in (("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)):
        value = found[name]
        assert value is not None
        # Whole numbers: at least the share lies at or under the value, and one fewer would not do.
        assert value * 1000 >= share * n > (value - 1) * 1000


def test_median_interval_matches_tabled_ranks() -> None:
    # 95 % ranks of the median: 1 and 6 of 6, 2 and 9 of 10, 6 and 15 of 20, 40 and 61 of 100 (binomial tables).
    for n, low, high in ((6, 1, 6), (10, 2, 9), (20, 6, 15), (100, 40, 61)):
        interval = median_interval(np.arange(1.0, n + 1.0))
        assert (interval.low, interval.high) == (low, high)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_median_interval_has_no_ends_from_under_six_samples(n: int) -> None:
    interval = median_interval([1.0] * n)
    assert (interval.low, interval.median, interval.high) == (None, 1.0, None)
    assert interval.half_width_ratio() is None


@given(times)
def test_median_interval_encloses_numpys_median(samples: list[float]) -> None:
    interval = median_interval(samples)
    assert interval.median == pytest.approx(float(np.median(samples)))
    if interval.low is not None and interval.high is not None:
        assert interval.low <= interval.median <= interval.high


def coverage(between_rounds: float, *, by_rounds: bool) -> float:
    generator, n_trials, covered = np.random.default_rng(2), 400, 0
    for _ in range(n_trials):
        offsets = 1 + between_rounds * generator.standard_normal((12, 1))
        rounds = offsets + 0.01 * generator.standard_normal((12, 80))
        interval = median_interval(rounds.ravel(), round_sizes=[80] * 12 if by_rounds else None)
        if interval.low is not None and interval.high is not None:
            covered += interval.low <= 1 <= interval.high
    return covered / n_trials


def test_interval_covers_the_median_of_independent_samples() -> None:
    assert coverage(0.0, by_rounds=False) >= 0.93
    assert coverage(0.0, by_rounds=True) >= 0.93


def test_interval_by_rounds_covers_where_rounds_differ_and_the_plain_one_does_not() -> None:
    assert coverage(0.01, by_rounds=False) < 0.5
    assert coverage(0.01, by_rounds=True) >= 0.92


def autocorrelated(generator: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """A stationary process of first order with a standard deviation of one."""
    noise = generator.standard_normal(n) * np.sqrt(1 - rho**2)
    noise[0] /= np.sqrt(1 - rho**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -rho], noise))


@pytest.mark.parametrize("per_round", [1, 20])
@pytest.mark.parametrize("n_rounds", [5, 20])
def test_an_interval_covers_where_rounds_and_steps_resemble_their_neighbours(n_rounds: int, per_round: int) -> None:
    generator, n_trials, covered, old = np.random.default_rng(4), 200, 0, 0
    for _ in range(n_trials):
        long = 0.01 * autocorrelated(generator, n_rounds * per_round, 0.99 if per_round > 1 else 0.9)
        interval = median_interval(np.exp(long), round_sizes=[per_round] * n_rounds)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1 <= interval.high
        plain = median_interval(np.exp(long))
        old += plain.low is not None and plain.low <= 1 <= (plain.high or 0)
    assert covered >= 0.88 * n_trials, "a standard error of two below nine in ten"
    assert old < 0.6 * n_trials


def test_the_interval_of_few_rounds_that_differ_wholly_reaches_beyond_the_samples() -> None:
    samples = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 100)
    interval = median_interval(samples, round_sizes=[100] * 5)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < 1.0
    assert interval.high > 5.0
    assert median_interval(samples).high == 3.0


def test_independent_samples_in_rounds_cost_little_width() -> None:
    samples = np.exp(0.01 * np.random.default_rng(5).standard_normal(640))
    wide, plain = median_interval(samples, round_sizes=[20] * 32), median_interval(samples)
    assert wide.half_width_ratio() <= 2.5 * plain.half_width_ratio()  # type: ignore[operator]


def test_steps_that_took_no_time_on_a_coarse_clock_have_an_interval() -> None:
    interval = median_interval([0.0, 1e-6, 1e-6, 0.0, 0.0, 0.0, 1e-6] * 9, round_sizes=[7] * 9)
    assert interval.low is not None
    assert interval.low <= interval.median <= interval.high  # type: ignore[operator]


def test_rounds_that_wander_do_not_drift() -> None:
    generator, n_trials, told = np.random.default_rng(6), 100, 0
    for _ in range(n_trials):
        change = drift(np.exp(0.1 * autocorrelated(generator, 25, 0.9)))
        told += change is not None and change.is_drifting
    assert told <= 0.1 * n_trials


def test_equal_samples_of_a_coarse_clock_make_an_interval_of_no_width() -> None:
    interval = median_interval([1e-6] * 300, round_sizes=[100, 150, 50])
    assert (interval.low, interval.high) == (1e-6, 1e-6)


def test_bad_samples_and_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="needs samples"):
        median_interval([])
    for sizes in ([2, 2], [5, 0], [6, -1]):
        with pytest.raises(ValueError, match="add up"):
            median_interval([1.0] * 5, round_sizes=sizes)


def test_iqr_ratio_and_stability_follow_the_thresholds() -> None:
    assert iqr_ratio([1.0, 2.0, 3.0]) is None
    assert iqr_ratio([0.0] * 8) is None
    assert iqr_ratio([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert [stability(r) for r in (None, 0.1, 0.11, 0.25, 0.26)] == [
        None, "stable", "unstable", "unstable", "very unstable",
    ]  # fmt: skip


def test_a_slow_rise_drifts_and_noise_does_not() -> None:
    noise = 0.02 * np.random.default_rng(3).standard_normal(20)
    rising = drift(np.linspace(1.0, 1.2, 20) + noise)
    steady = drift(1.0 + noise)
    assert rising is not None
    assert rising.is_drifting
    assert rising.ratio == pytest.approx(0.18, abs=0.05)
    assert steady is not None
    assert not steady.is_drifting


def test_a_significant_but_small_change_does_not_drift() -> None:
    small = drift(np.linspace(1.0, 1.03, 20))
    assert small is not None
    assert small.ratio == pytest.approx(0.03, abs=0.002)
    assert not small.is_drifting


def test_one_slow_round_does_not_sway_the_line() -> None:
    medians = np.ones(12)
    medians[-1] = 10.0
    change = drift(medians)
    assert change is not None
    assert (change.ratio, change.is_drifting) == (0.0, False)


def test_drift_is_unknown_from_rounds_that_cannot_show_it() -> None:
    assert drift(np.linspace(1, 2, 5)) is None
    shown = drift(np.linspace(1, 2, 6))
    assert shown is not None
    assert shown.is_drifting


def test_a_device_that_slows_down_within_five_rounds_is_seen() -> None:
    rates = np.array([205.0, 190.0, 171.0, 150.0, 138.0])  # tokens/s of a laptop in mlx-lm's issue 1010
    assert slowing(1 / rates) == pytest.approx(205 / 138 - 1)
    assert drift(1 / rates) is None, "too few for a line"


@pytest.mark.parametrize(
    "medians",
    [
        [], [1.0, 1.5, 2.0],
        [1.0, 1.0, 1.0, 1.0, 1.0],
        [1.0, 1.02, 1.04, 1.06, 1.08],
        [2.0, 1.8, 1.6, 1.4, 1.2],
        [1.0, 3.0, 1.0, 2.5, 1.2],
        [1.0, 1.0, np.nan, 2.0, 2.0],
    ],
)  # fmt: skip
def test_few_equal_faster_and_jumping_rounds_have_not_slowed_down(medians: list[float]) -> None:
    assert slowing(medians) is None


def test_drift_of_thousands_of_rounds_keeps_its_figure() -> None:
    change = drift(np.linspace(1.0, 1.5, 5000))
    assert change is not None
    assert change.ratio == pytest.approx(0.4, abs=0.01)
