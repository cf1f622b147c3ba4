"""The clock: waits on both sides, ends the warm-up by its rule, samples as asked. Time itself is a test's own."""

from __future__ import annotations

import time

import pytest
import torch

from sweeps.measure.timing import clock as timing
from sweeps.measure.timing.clock import Timer, choose_steps_per_sample, run_round, warm_up

CPU = torch.device("cpu")


class HandTime:
    """Stands in for the module time within timing.py: nothing but the steps' own lengths passes."""

    def __init__(self) -> None:
        self.now_ns = 0

    def perf_counter_ns(self) -> int:
        return self.now_ns

    def perf_counter(self) -> float:
        return self.now_ns * 1e-9

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def hand_time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    clock = HandTime()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def step_of(clock: HandTime, *seconds: float):
    """A step that takes the given seconds in turn, the last one for ever."""
    lengths = list(seconds)
    return lambda: clock.pass_s(lengths.pop(0) if len(lengths) > 1 else lengths[0])


def test_a_sleep_is_timed_at_its_length_and_an_empty_step_at_next_to_nothing() -> None:
    timer = Timer(CPU)
    assert 0.02 <= min(timer.time(lambda: time.sleep(0.02)) for _ in range(3)) < 0.03
    assert 0 <= timer.overhead_s < 1e-3


def test_the_timer_waits_before_and_after_and_counts_what_was_waited_for(hand_time: HandTime) -> None:
    order: list[str] = []
    pending = 0.0

    def launch() -> None:
        nonlocal pending
        order.append("step")
        pending += 0.5
        hand_time.pass_s(0.001)

    def wait() -> None:
        nonlocal pending
        order.append("wait")
        hand_time.pass_s(pending)
        pending = 0.0

    timer = Timer(CPU, wait)
    order.clear()
    pending = 7.0  # left by somebody else, and not to be charged to this step
    assert timer.time(launch, 3) == pytest.approx(3 * 0.501)
    assert order == ["wait", "step", "step", "step", "wait"]


def test_the_cpu_has_no_events_to_time_by() -> None:
    assert Timer(CPU).time_on_device(lambda: None) is None


@pytest.mark.gpu
def test_an_accelerators_events_agree_with_the_clock() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu = open_device(available_devices()[1])
    timer = Timer(gpu)
    a = torch.rand(4096, 4096, device=gpu)
    warm_up(lambda: a @ a, timer)
    on_device = timer.time_on_device(lambda: a @ a, 50)
    if on_device is not None:
        assert on_device == pytest.approx(timer.time(lambda: a @ a, 50) / 50, rel=0.1)


@pytest.mark.parametrize(
    ("step_s", "overhead_s", "expected"),
    [(1.0, 1e-6, 1), (1e-5, 1e-6, 10), (1e-9, 1e-3, 10_000), (1e-6, 0.0, 1)],
)
def test_samples_hold_enough_steps_for_the_timer_to_take_one_percent(step_s: float, overhead_s: float, expected: int):
    assert choose_steps_per_sample(step_s, overhead_s) == expected


@pytest.mark.parametrize("times", [(0.0, 1e-6), (1e-3, -1e-9)])
def test_impossible_times_are_refused_with_their_values(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=f"step_s={times[0]}"):
        choose_steps_per_sample(*times)


def test_the_first_step_is_kept_apart_and_the_warm_up_ends_at_the_first_window_without_gain(
    hand_time: HandTime,
) -> None:
    # Compilation, then windows of five (0.1 s) at 40, 30 and 30 ms: the third is no faster than the second.
    step = step_of(hand_time, 9.0, *[0.04] * 5, *[0.03] * 5, 0.03)
    warm = warm_up(step, Timer(CPU))
    assert warm.first_step_s == pytest.approx(9.0)
    assert warm.n_steps == 1 + 5 + 5 + 5
    assert warm.warmup_s == pytest.approx(9.0 + 0.2 + 0.15 + 0.15)
    assert len(warm.seconds) == warm.n_steps


def test_a_step_that_keeps_getting_faster_is_warmed_up_for_longer(hand_time: HandTime) -> None:
    falling = [0.1 * 0.97**i for i in range(60)]
    long = warm_up(step_of(hand_time, 0.1, *falling), Timer(CPU), max_s=1000)
    steady = warm_up(step_of(hand_time, 0.1, 0.1), Timer(CPU), max_s=1000)
    assert steady.n_steps == 11
    assert long.n_steps >= 61


def test_quick_steps_are_warmed_up_for_a_tenth_of_a_second_a_window(hand_time: HandTime) -> None:
    warm = warm_up(step_of(hand_time, 1e-4), Timer(CPU))
    assert warm.warmup_s == pytest.approx(0.2, rel=0.02)


def test_a_step_longer_than_may_be_measured_ends_the_warm_up_at_once(hand_time: HandTime) -> None:
    assert warm_up(step_of(hand_time, 12.0), Timer(CPU), max_s=60.0, hopeless_s=10.0, min_steps=1).n_steps == 1
    assert warm_up(step_of(hand_time, 12.0), Timer(CPU), max_s=60.0, hopeless_s=10.0).n_steps == 2
    compiled = warm_up(step_of(hand_time, 12.0, 0.05), Timer(CPU), max_s=60.0, hopeless_s=10.0)
    assert compiled.n_steps > 5, "only the first step was long"


def test_the_warm_up_ends_at_its_time_or_number_of_steps_whatever_the_gain(hand_time: HandTime) -> None:
    falling = [10 * 0.7**i for i in range(50)]
    assert warm_up(step_of(hand_time, 50.0, *falling), Timer(CPU), max_s=5.0).n_steps == 2
    assert warm_up(step_of(hand_time, *falling), Timer(CPU), max_s=1e6, max_steps=7).n_steps == 7


def test_a_round_ends_with_the_first_sample_past_its_length(hand_time: HandTime) -> None:
    samples = run_round(step_of(hand_time, 0.03), Timer(CPU), 0.1)
    assert samples == pytest.approx([0.03] * 4)


def test_samples_of_several_steps_are_their_mean(hand_time: HandTime) -> None:
    timer = Timer(CPU)
    assert run_round(step_of(hand_time, 0.01, 0.03, 0.01, 0.03, 9.0), timer, 0.05, steps_per_sample=2) == pytest.approx(
        [0.02, 0.02]
    )


def test_a_round_of_a_fixed_number_of_steps_runs_exactly_those() -> None:
    runs: list[int] = []
    samples = run_round(lambda: runs.append(1), Timer(CPU), 1e9, n_steps=7, steps_per_sample=3)
    assert len(runs) == 7
    assert len(samples) == 3
    runs.clear()
    samples = run_round(lambda: runs.append(1), Timer(CPU), 1e9, n_steps=99, is_over=lambda: len(runs) == 4)
    assert len(runs) == len(samples) == 4, "a round longer than the time allowed ends early"


def test_a_round_always_has_a_sample(hand_time: HandTime) -> None:
    assert run_round(step_of(hand_time, 5.0), Timer(CPU), 0.2) == pytest.approx([5.0])
