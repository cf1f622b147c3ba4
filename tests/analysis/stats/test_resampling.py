"""The bootstrap against brute force and planted truth; p values against scipy's and against runs of the same thing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.stats.resampling import Blocks, interval, median_draws, ratio_interval
from analysis.stats.significance import Significance, holm, mann_whitney


def rounds(
    rng: np.random.Generator, median: float, *, n_rounds: int = 5, n: int = 20, between: float = 0.02, within: float = 0.02
) -> Blocks:  # fmt: skip
    """Lognormal samples whose rounds differ from each other by ``between``, and within a round by ``within``."""
    of_round = rng.normal(0, between, n_rounds)
    values = median * np.exp(np.concatenate([rng.normal(mean, within, n) for mean in of_round]))
    return Blocks(values=values, block=np.repeat(np.arange(n_rounds), n))


def test_blocks_know_their_medians_whatever_the_order_and_size_of_the_rounds() -> None:
    blocks = Blocks(values=np.array([5.0, 1, 3, 10, 20, 2]), block=np.array([7, 7, 7, 2, 2, 7]))
    assert [part.tolist() for part in blocks.parts] == [[10, 20], [1, 2, 3, 5]]
    assert blocks.block_medians.tolist() == [15, 2.5]
    assert blocks.median == 4.0
    assert blocks.scaled(0.5).median == 2.0
    assert blocks.n_blocks == 2


@pytest.mark.parametrize(("values", "block"), [([], []), ([1.0, 2.0], [0]), ([[1.0]], [[0]])])
def test_blocks_without_samples_or_of_two_lengths_are_refused(values: list[float], block: list[int]) -> None:
    with pytest.raises(ValueError, match="equal, non-empty and one-dimensional, got shapes"):
        Blocks(values=np.array(values), block=np.array(block))


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (1, 4, 2, 7), (2, 2)], ids=["equal", "unequal", "two"])
def test_draws_are_medians_of_rounds_drawn_with_replacement(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    parts = [rng.lognormal(0, 1, size) for size in sizes]
    blocks = Blocks(values=np.concatenate(parts), block=np.repeat(np.arange(len(sizes)), sizes))
    chosen = list(itertools.product(parts, repeat=len(parts)))
    possible, counts = np.unique([np.round(np.median(np.concatenate(one)), 12) for one in chosen], return_counts=True)
    draws, seen = np.unique(np.round(median_draws(blocks, rng, 20_000), 12), return_counts=True)
    assert set(draws) <= set(possible), "each draw is the median of a data set that can be drawn"
    shares = dict(zip(draws, seen / 20_000, strict=True))
    for value, expected in zip(possible, counts / len(chosen), strict=True):
        assert shares.get(value, 0) == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000) + 1e-4)


def test_many_rounds_are_drawn_as_few_are() -> None:
    """Ten rounds are too many to enumerate, and 5,000 samples more than there are candidate medians."""
    rng = np.random.default_rng(5)
    blocks = rounds(rng, 1.0, n_rounds=10, n=500, between=0.05)
    brute = [
        np.median(np.concatenate([blocks.parts[i] for i in rng.integers(0, 10, 10)])) for _ in range(2000)
    ]  # fmt: skip
    draws = median_draws(blocks, rng)
    assert draws.mean() == pytest.approx(np.mean(brute), rel=0.005)
    assert draws.std() == pytest.approx(np.std(brute), rel=0.1)


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 3), (4, 6), (5, 5), (7, 7)])
def test_the_interval_covers_a_planted_ratio_as_often_as_it_says(n_a: int, n_b: int) -> None:
    rng = np.random.default_rng(n_a)
    covered, n = 0, 250
    for _ in range(n):
        a, b = rounds(rng, 2.0, n_rounds=n_a, between=0.03), rounds(rng, 1.0, n_rounds=n_b, between=0.03)
        low, high = ratio_interval(a, b, median_draws(a, rng, 1000) / median_draws(b, rng, 1000))
        covered += low <= 2.0 <= high
    assert 0.91 < covered / n <= 0.99


def test_rounds_that_do_not_differ_at_all_leave_no_room() -> None:
    a, b = (Blocks(values=np.full(30, value), block=np.repeat(np.arange(3), 10)) for value in (0.003, 0.001))
    assert ratio_interval(a, b, np.full(10, 3.0)) == pytest.approx((3, 3))


def test_an_interval_of_few_rounds_is_wider_than_the_plain_percentiles() -> None:
    draws = np.random.default_rng(0).normal(1, 0.1, 4000)
    plain = np.quantile(draws, [0.025, 0.975])
    widths = [high - low for low, high in (interval(draws, n, 2 * n - 2) for n in (3, 5, 100))]
    assert widths[0] > widths[1] > widths[2] > plain[1] - plain[0]
    assert widths[2] == pytest.approx(plain[1] - plain[0], rel=0.05)


def p_of(a: Blocks | None, b: Blocks | None) -> float:
    significance = Significance()
    significance.add(a, b)
    return float(significance.p_values()[0])


def test_p_is_the_larger_of_mann_whitneys_and_welchs_on_the_rounds() -> None:
    rng = np.random.default_rng(1)
    for other in (1.0, 1.05, 1.5):
        a, b = rounds(rng, 1.0), rounds(rng, other, n_rounds=7)
        mann_whitney = stats.mannwhitneyu(a.values, b.values, alternative="two-sided").pvalue
        welch = stats.ttest_ind(np.log(a.block_medians), np.log(b.block_medians), equal_var=False).pvalue
        assert p_of(a, b) == pytest.approx(max(mann_whitney, welch))


@pytest.mark.parametrize(("n_a", "n_b"), [(5, 5), (8, 30), (9, 9), (30, 200), (500, 499)])
@pytest.mark.parametrize("decimals", [1, 16], ids=["ties", "no ties"])
def test_mann_whitney_is_scipys(n_a: int, n_b: int, decimals: int) -> None:
    rng = np.random.default_rng(n_a)
    for shift in (0.0, 0.1, 0.5, 3.0):
        a, b = np.sort(rng.normal(0, 1, n_a).round(decimals)), np.sort(rng.normal(shift, 1, n_b).round(decimals))
        assert mann_whitney(a, b) == pytest.approx(stats.mannwhitneyu(a, b).pvalue, rel=1e-9)
        assert mann_whitney(b, a) == pytest.approx(mann_whitney(a, b), rel=1e-9)
    assert mann_whitney(np.ones(n_a), np.ones(n_b)) == 1


def test_p_is_unknown_without_samples_or_with_fewer_than_three_rounds() -> None:
    rng = np.random.default_rng(1)
    whole, short = rounds(rng, 1.0), rounds(rng, 1.0, n_rounds=2)
    significance = Significance()
    for pair in ((whole, None), (None, whole), (whole, short), (whole, whole)):
        significance.add(*pair)
    p = significance.p_values()
    assert np.isnan(p).tolist() == [True, True, True, False]
    assert p[3] == pytest.approx(1)


def test_a_clock_so_coarse_that_all_rounds_are_alike_leaves_mann_whitney_to_judge() -> None:
    ticks = {value: Blocks(values=np.full(60, value), block=np.repeat(np.arange(3), 20)) for value in (0.001, 0.002)}
    assert p_of(ticks[0.001], ticks[0.002]) < 1e-10
    assert p_of(ticks[0.001], ticks[0.001]) == pytest.approx(1)


def test_two_runs_of_the_same_thing_are_rarely_called_different() -> None:
    """Where rounds differ, Mann-Whitney alone would be wrong in most pairs."""
    rng = np.random.default_rng(2)
    pairs = [(rounds(rng, 1.0, between=0.03, n=100), rounds(rng, 1.0, between=0.03, n=100)) for _ in range(300)]
    significance = Significance()
    for a, b in pairs:
        significance.add(a, b)
    alone = [stats.mannwhitneyu(a.values, b.values).pvalue for a, b in pairs]
    assert (significance.p_values() < 0.05).mean() < 0.07
    assert (np.array(alone) < 0.05).mean() > 0.4


def test_holms_correction_by_hand_leaves_unknown_p_values_out() -> None:
    given = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    assert holm(given) == pytest.approx([0.03, np.nan, 0.06, 0.06, 0.02], nan_ok=True)
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1, 1])
    assert holm(np.array([])).size == 0
