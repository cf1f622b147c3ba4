"""Rounds of samples: when a cell has been measured enough, and what its samples come to as columns of its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.measure.timing.statistics import (
    Interval,
    Samples,
    drift,
    iqr_ratio,
    median_interval,
    percentiles,
    stability,
)


@dataclass(frozen=True, kw_only=True)
class RoundPolicy:
    """When a cell has been measured enough.

    Attributes:
        min_rounds: At least this many rounds, where ``max_s`` has room for them.
        min_s: At least this many measured seconds.
        max_s: Stop before the round that would end later, precise or not; only the first may.
        precision_target: Stop when the 95 % interval of the median is within this share of it, on either side.
        round_s: Longest round in seconds; a step longer than that makes a round by itself.
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

    @property
    def length_s(self) -> float:
        """Seconds of a round: ``round_s``, or as much less as the fewest rounds need to end within ``max_s``."""
        return min(self.round_s, 0.9 * self.max_s / self.min_rounds)

    def holds(self, interval: Interval) -> bool:
        """Whether an interval is within the target."""
        width = interval.half_width_ratio()
        return width is not None and width <= self.precision_target


@dataclass(frozen=True, kw_only=True)
class TimingSummary:
    """Columns of the trials table that follow from a cell's samples, described in ``trial_columns.py``."""

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
    n_latency_samples: int


def summarise_timing(
    samples: Samples,
    round_medians: Samples,
    *,
    items_per_step: int,
    steps_per_sample: int,
    policy: RoundPolicy,
    round_sizes: Sequence[int] | None = None,
) -> TimingSummary:
    """Summarise samples of seconds per step.

    Args:
        samples: Seconds per step, in the order of measurement.
        round_medians: Median of each round.
        items_per_step: Items that one step works through.
        steps_per_sample: Steps that each sample is the mean of; percentiles are None unless it is 1.
        policy: Whose precision target is judged.
        round_sizes: Samples in each round; without them the interval takes all samples for independent.

    Raises:
        ValueError: Without samples.
    """
    values = np.asarray(samples, dtype=float)
    interval = median_interval(values, round_sizes=round_sizes)
    ratio = iqr_ratio(values)
    change = drift(round_medians)
    # A sample that is the mean of several steps hides their tail.
    single = values if steps_per_sample == 1 else values[:0]
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
        is_precise=policy.holds(interval),
        stability=stability(ratio),
        drift_ratio=None if change is None else change.ratio,
        is_drifting=None if change is None else change.is_drifting,
        **latency_columns(single),
    )


def latency_columns(seconds: Samples) -> dict[str, Any]:
    """The columns of the trials table that follow from steps timed one by one, given as their seconds."""
    tail = {f"latency_{name}_s": value for name, value in percentiles(seconds).items()}
    return {**tail, "n_latency_samples": len(seconds)}


class RoundLog:
    """A cell's rounds as they are measured, kept so that asking for their figures stays cheap.

    Attributes:
        round_sizes: Samples in each round.
        round_medians: Median of each round in seconds.
        measured_s: Seconds measured in all rounds.
    """

    def __init__(self, steps_per_sample: int = 1) -> None:
        if steps_per_sample < 1:
            raise ValueError(f"a sample has at least one step, got {steps_per_sample=}")
        self._steps_per_sample = steps_per_sample
        self._buffer = np.empty(1024)
        self.round_sizes: list[int] = []
        self.round_medians: list[float] = []
        self.measured_s = 0.0

    @property
    def samples(self) -> np.ndarray:
        """Every sample so far in seconds per step, in the order of measurement; a view that is not to be kept."""
        return self._buffer[: sum(self.round_sizes)]

    def add(self, seconds: Sequence[float], n_steps: int | None = None) -> float:
        """Add one round of so many steps, of which the last sample may have fewer; returns its seconds.

        Raises:
            ValueError: For a round without samples.
        """
        if not len(seconds):
            raise ValueError(f"a round has samples, got {len(seconds)=}")
        values = np.asarray(seconds, dtype=float)
        used = sum(self.round_sizes)
        if used + len(values) > len(self._buffer):
            grown = np.empty(max(2 * len(self._buffer), used + len(values)))
            grown[:used] = self._buffer[:used]
            self._buffer = grown
        self._buffer[used : used + len(values)] = values
        self.round_sizes.append(len(values))
        self.round_medians.append(float(np.median(values)))
        n_absent = 0 if n_steps is None else len(values) * self._steps_per_sample - n_steps
        took_s = float(values.sum()) * self._steps_per_sample - n_absent * float(values[-1])
        self.measured_s += took_s
        return took_s

    def is_enough(self, policy: RoundPolicy) -> bool:
        """Whether to stop: rounds and seconds reached and the median precise, or no time for one more round.

        The interval is computed only where it decides.
        """
        n_rounds = len(self.round_sizes)
        if n_rounds and self.measured_s * (1 + 1 / n_rounds) > policy.max_s:
            return True
        if n_rounds < policy.min_rounds:
            return False
        is_long = self.measured_s >= policy.min_s
        return is_long and policy.holds(median_interval(self.samples, round_sizes=self.round_sizes))

    def summary(self, items_per_step: int, policy: RoundPolicy) -> TimingSummary:
        """The columns of the row for the rounds so far.

        Raises:
            ValueError: Before the first round.
        """
        return summarise_timing(
            self.samples, self.round_medians, items_per_step=items_per_step, policy=policy,
            steps_per_sample=self._steps_per_sample, round_sizes=self.round_sizes,
        )  # fmt: skip
