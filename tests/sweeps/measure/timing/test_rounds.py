"""Rounds go on until the median is known well enough, and come to the columns of a row."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from sweeps.measure.timing.rounds import RoundLog, RoundPolicy, TimingSummary, summarise_timing
from sweeps.store.schema import TRIALS

POLICY = RoundPolicy(min_rounds=5, min_s=1.0, max_s=10.0, precision_target=0.02, round_s=0.2)


def log_of(spread: float, n_rounds: int, *, seed: int = 0, between: float = 0.0) -> RoundLog:
    generator, log = np.random.default_rng(seed), RoundLog()
    for _ in range(n_rounds):
        middle = 0.01 * (1 + between * generator.standard_normal())
        log.add(list(middle * np.exp(spread * generator.standard_normal(20))))
    return log


def test_steady_rounds_are_enough_as_soon_as_rounds_and_seconds_are_reached() -> None:
    assert not log_of(0.001, 4).is_enough(POLICY), "four rounds of five"
    assert not RoundLog().is_enough(POLICY)
    short = RoundPolicy(min_rounds=5, min_s=1.1, max_s=10, precision_target=0.02)
    assert log_of(0.001, 6).is_enough(POLICY)
    assert not log_of(0.001, 5).is_enough(short), "1 s of 1.1 s"


def test_no_round_begins_that_would_end_after_the_longest_time() -> None:
    log, policy = RoundLog(), RoundPolicy(min_rounds=5, min_s=0.1, max_s=10.0)
    for n in range(1, 4):
        log.add([3.0])
        assert log.is_enough(policy) == (n == 3), "a fourth would end after 12 s"
    hopeless = RoundLog()
    hopeless.add([12.0])
    assert hopeless.is_enough(policy)
    found = hopeless.summary(2, policy)
    assert (found.step_median_s, found.n_samples, found.step_median_low_s, found.is_precise) == (12.0, 1, None, False)


def test_rounds_are_so_short_that_the_fewest_fit() -> None:
    assert RoundPolicy().length_s == 0.2
    assert RoundPolicy(min_s=0.1, max_s=0.1).length_s == pytest.approx(0.018)


def test_noisy_rounds_go_on_until_precise_or_the_cap() -> None:
    needed = next(n for n in range(5, 60) if log_of(0.15, n).is_enough(POLICY))
    assert needed > 6
    assert log_of(0.15, needed).summary(1, POLICY).is_precise
    capped = log_of(1.0, 51)
    assert capped.is_enough(POLICY)
    assert not capped.summary(1, POLICY).is_precise


def test_rounds_that_differ_go_on_though_their_samples_agree() -> None:
    assert not log_of(0.001, 8, between=0.05).is_enough(POLICY)


def test_every_field_of_the_summary_is_a_column_of_the_trials_table() -> None:
    assert {field.name for field in fields(TimingSummary)} <= set(TRIALS.names)


def test_the_summary_holds_what_was_measured() -> None:
    log = RoundLog()
    for medians in ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [3.0, 4.0, 5.0]):
        log.add(medians)
    found = log.summary(items_per_step=6, policy=POLICY)
    assert (found.n_rounds, found.n_samples, found.steps_per_sample) == (3, 9, 1)
    assert found.measured_s == pytest.approx(27.0)
    assert found.step_median_s == 3.0
    assert found.throughput_items_per_s == pytest.approx(2.0)
    assert log.round_medians == [2.0, 3.0, 4.0]


def test_throughput_has_the_medians_interval_turned_over() -> None:
    found = log_of(0.02, 10).summary(8, POLICY)
    assert found.step_median_low_s is not None
    assert found.throughput_high_items_per_s == pytest.approx(8 / found.step_median_low_s)
    assert found.throughput_low_items_per_s is not None
    assert found.throughput_low_items_per_s <= found.throughput_items_per_s


def test_means_of_several_steps_have_no_percentiles_and_count_all_their_seconds() -> None:
    samples = np.full(100, 0.01)
    single = summarise_timing(samples, [0.01] * 5, items_per_step=1, steps_per_sample=1, policy=POLICY)
    means = summarise_timing(samples, [0.01] * 5, items_per_step=1, steps_per_sample=4, policy=POLICY)
    assert single.latency_p90_s == 0.01
    assert means.latency_p50_s is None
    assert means.latency_p90_s is None
    assert means.measured_s == pytest.approx(4 * single.measured_s)


def test_too_few_samples_have_neither_interval_nor_spread() -> None:
    log = RoundLog()
    log.add([0.5, 0.6])
    found = log.summary(1, POLICY)
    assert found.step_median_low_s is None
    assert found.throughput_high_items_per_s is None
    assert found.stability is None
    assert found.drift_ratio is None
    assert not found.is_precise


def test_a_slowing_device_is_said_to_drift_and_a_jumping_one_to_be_unstable() -> None:
    slowing, jumping = RoundLog(), RoundLog()
    for i in range(12):
        slowing.add([0.01 + 0.001 * i] * 10)
        jumping.add([0.01, 0.02] * 5)
    assert slowing.summary(1, POLICY).is_drifting
    found = jumping.summary(1, POLICY)
    assert found.stability == "very unstable"
    assert not found.is_drifting


def test_the_log_keeps_the_order_of_many_samples() -> None:
    log, everything = RoundLog(), np.random.default_rng(1).random(10_000)
    for part in np.array_split(everything, 7):
        log.add(part)
    assert np.array_equal(log.samples, everything)
    assert log.measured_s == pytest.approx(everything.sum())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_rounds": 0}, "min_rounds=0"),
        ({"min_s": 3.0, "max_s": 2.0}, "min_s=3.0 and self.max_s=2.0"),
        ({"precision_target": 0.0}, "precision_target=0.0"),
        ({"precision_target": 1.0}, "precision_target=1.0"),
        ({"round_s": 0.0}, "round_s=0.0"),
    ],
)
def test_impossible_policies_are_refused_with_their_values(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoundPolicy(**arguments)  # type: ignore[arg-type]


def test_empty_rounds_and_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="a round has samples"):
        RoundLog().add([])
    with pytest.raises(ValueError, match="steps_per_sample=0"):
        RoundLog(0)
    with pytest.raises(ValueError, match="needs samples"):
        RoundLog().summary(1, POLICY)
