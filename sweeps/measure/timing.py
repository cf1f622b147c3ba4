"""The clock: synchronised steps, a warm-up that ends by rule, rounds until the median is known well enough.

timer = Timer(device)
warm_up(step, timer)
seconds = run_round(step, timer, round_s=0.2)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sweeps.measure.device import new_event, synchronize
from sweeps.measure.statistics import drift, iqr_ratio, median_interval, percentiles, stability

Step = Callable[[], object]
MIN_WARMUP_STEPS, WARMUP_WINDOW, WARMUP_GAIN = 3, 5, 0.05
MAX_SAMPLES_PER_ROUND = 100_000


@dataclass(frozen=True, kw_only=True)
class RoundPolicy:
    """When a cell has been measured enough.

    Attributes:
        min_rounds: At least this many rounds.
        min_s: At least this many measured seconds.
        max_s: Stop after this many, precise or not.
        precision_target: Stop when the 95 % interval of the median is within this share of it, on either side.
        round_s: Length of a round in seconds; a step longer than that makes a round by itself.
    """

    min_rounds: int = 5
    min_s: float = 1.0
    max_s: float = 10.0
    precision_target: float = 0.02
    round_s: float = 0.2

    def __post_init__(self) -> None:
        if self.min_rounds < 1:
            raise ValueError(f"at least one round is needed, got {self.min_rounds=}")
        if not 0 < self.min_s <= self.max_s:
            raise ValueError(f"0 < min_s <= max_s must hold, got {self.min_s=} and {self.max_s=}")
        if not 0 < self.precision_target < 1:
            raise ValueError(f"the precision target is a share between 0 and 1, got {self.precision_target=}")
        if self.round_s <= 0:
            raise ValueError(f"a round must last, got {self.round_s=}")

    def is_precise(self, samples: Sequence[float] | np.ndarray) -> bool:
        """Whether the interval of the median is within the target."""
        interval = median_interval(samples)
        if interval.low is None or interval.high is None:
            return False
        widest = max(interval.high - interval.median, interval.median - interval.low)
        return widest <= self.precision_target * interval.median

    def is_enough(self, n_rounds: int, measured_s: float, samples: Sequence[float] | np.ndarray) -> bool:
        """Whether to stop: rounds and seconds reached and the median precise, or the time cap reached."""
        if n_rounds < self.min_rounds:
            return False
        if measured_s >= self.max_s:
            return True
        return measured_s >= self.min_s and self.is_precise(samples)


class Timer:
    """Times steps on a device, waiting for the device before and after.

    Attributes:
        device: The device.
        overhead_s: Median of timing an empty step, in seconds. Not subtracted from samples.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        for _ in range(10):
            self.time(_nothing)
        self.overhead_s = float(np.median([self.time(_nothing) for _ in range(101)]))

    def time(self, step: Step, n_steps: int = 1) -> float:
        """Seconds of ``n_steps`` steps run one after the other, the device's work included."""
        synchronize(self.device)
        began = time.perf_counter_ns()
        for _ in range(n_steps):
            step()
        synchronize(self.device)
        return (time.perf_counter_ns() - began) * 1e-9

    def time_on_device(self, step: Step, n_steps: int = 1) -> float | None:
        """Seconds per step between two events on the device itself; None where the device has no events.

        Finer than ``time`` for work shorter than a synchronisation, but blind to the time the host takes to
        launch the first kernel.
        """
        start, end = new_event(self.device), new_event(self.device)
        if start is None or end is None:
            return None
        synchronize(self.device)
        start.record()
        for _ in range(n_steps):
            step()
        end.record()
        synchronize(self.device)
        return float(start.elapsed_time(end)) * 1e-3 / n_steps


def _nothing() -> None:
    """The empty step."""


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What ran before the measurement, in seconds; never part of the statistics."""

    first_step_s: float
    warmup_s: float
    n_steps: int
    seconds: list[float]


def warm_up(step: Step, timer: Timer, *, max_s: float = 10.0, max_steps: int = 1000) -> WarmUp:
    """Run steps until they no longer get faster.

    Ends when the median of the last five steps is not over 5 % faster than that of the five before; after
    ``max_s`` seconds or ``max_steps`` at the latest, but never before three steps. Steps so long that ten do not fit in
    ``max_s`` end it when the last is not over 5 % faster than the one before.
    """
    seconds = [timer.time(step)]
    first = seconds[0]
    while len(seconds) < max_steps:
        spent = sum(seconds[1:])
        if len(seconds) >= MIN_WARMUP_STEPS:
            window = WARMUP_WINDOW if spent < max_s / 4 else 1
            if len(seconds) > 2 * window:
                before, now = np.median(seconds[-2 * window : -window]), np.median(seconds[-window:])
                if now >= before * (1 - WARMUP_GAIN):
                    break
            if spent >= max_s:
                break
        seconds.append(timer.time(step))
    return WarmUp(first_step_s=first, warmup_s=sum(seconds), n_steps=len(seconds), seconds=seconds)


def run_round(
    step: Step, timer: Timer, round_s: float, *, n_steps: int | None = None, steps_per_sample: int = 1
) -> list[float]:
    """One round: samples of seconds per step.

    Args:
        step: The work.
        timer: The device's timer.
        round_s: Stop at the first sample that ends after this many seconds.
        n_steps: Run exactly this many steps instead.
        steps_per_sample: Steps between two synchronisations; a sample is their mean.
    """
    samples: list[float] = []
    if n_steps is not None:
        for done in range(0, n_steps, steps_per_sample):
            n = min(steps_per_sample, n_steps - done)
            samples.append(timer.time(step, n) / n)
        return samples
    end = time.perf_counter() + round_s
    while True:
        samples.append(timer.time(step, steps_per_sample) / steps_per_sample)
        if time.perf_counter() >= end or len(samples) >= MAX_SAMPLES_PER_ROUND:
            return samples


@dataclass(frozen=True, kw_only=True)
class TimingSummary:
    """Columns of the trials table that follow from a cell's samples; see ``sweeps/schema.py`` for their meaning."""

    measured_s: float
    n_rounds: int
    n_samples: int
    steps_per_sample: int
    step_median_s: float
    step_median_low_s: float | None
    step_median_high_s: float | None
    step_iqr_ratio: float | None
    throughput_items_per_s: float
    throughput_low_items_per_s: float | None
    throughput_high_items_per_s: float | None
    is_precise: bool
    stability: str | None
    drift_ratio: float | None
    is_drifting: bool | None
    latency_p50_s: float | None
    latency_p90_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    latency_p999_s: float | None


def summarise_timing(
    samples: Sequence[float],
    round_medians: Sequence[float],
    *,
    items_per_step: int,
    steps_per_sample: int,
    policy: RoundPolicy,
) -> TimingSummary:
    """Summarise samples of seconds per step.

    Raises:
        ValueError: Without samples.
    """
    values = np.asarray(samples, dtype=float)
    interval = median_interval(values)
    ratio = iqr_ratio(values)
    change = drift(round_medians)
    # A sample that is the mean of several steps hides their tail.
    tail = percentiles(values if steps_per_sample == 1 else values[:0])
    return TimingSummary(
        measured_s=float(values.sum()) * steps_per_sample,
        n_rounds=len(round_medians),
        n_samples=len(values),
        steps_per_sample=steps_per_sample,
        step_median_s=interval.median,
        step_median_low_s=interval.low,
        step_median_high_s=interval.high,
        step_iqr_ratio=ratio,
        throughput_items_per_s=items_per_step / interval.median,
        throughput_low_items_per_s=None if interval.high is None else items_per_step / interval.high,
        throughput_high_items_per_s=None if interval.low is None else items_per_step / interval.low,
        is_precise=policy.is_precise(values),
        stability=stability(ratio),
        drift_ratio=None if change is None else change.ratio,
        is_drifting=None if change is None else change.is_drifting,
        latency_p50_s=tail["p50"],
        latency_p90_s=tail["p90"],
        latency_p95_s=tail["p95"],
        latency_p99_s=tail["p99"],
        latency_p999_s=tail["p999"],
    )
