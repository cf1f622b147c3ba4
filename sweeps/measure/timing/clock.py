"""The clock: synchronised steps, a warm-up that ends by rule, rounds of samples; ``sweeps.measure`` has an example."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sweeps.measure.device.device import new_event, synchronize

Step = Callable[[], object]

WARMUP_GAIN = 0.05
WARMUP_WINDOW_STEPS, WARMUP_WINDOW_S = 5, 0.1
"""A window has at least five steps and a tenth of a second: clocks take that long to rise."""
WARMUP_WINDOW_SHARE = 1 / 8
"""Steps so long that five of them would take more than this share of the time allowed make smaller windows."""
MIN_WARMUP_STEPS, MAX_WARMUP_STEPS = 2, 100_000
MAX_SAMPLES_PER_ROUND = 100_000
MAX_STEPS_PER_SAMPLE = 10_000
N_OVERHEAD_SAMPLES = 101


class Timer:
    """Times steps on a device, waiting for the device before and after.

    Args:
        device: An open device.
        wait: What waits for the device; torch's own synchronisation by default. A hand-made device or a test of
            the proof in ``timer_proof.py`` gives another.

    Attributes:
        device: The device.
        overhead_s: Median of timing an empty step, in seconds. Not subtracted from samples.
    """

    def __init__(self, device: torch.device, wait: Callable[[], object] | None = None) -> None:
        self.device = device
        self._wait = functools.partial(synchronize, device) if wait is None else wait
        for _ in range(10):
            self.time(_nothing)
        self.overhead_s = float(np.median([self.time(_nothing) for _ in range(N_OVERHEAD_SAMPLES)]))

    def time(self, step: Step, n_steps: int = 1) -> float:
        """Seconds of ``n_steps`` steps run one after the other, the device's work included."""
        wait = self._wait
        wait()
        began = time.perf_counter_ns()
        for _ in range(n_steps):
            step()
        wait()
        return (time.perf_counter_ns() - began) * 1e-9

    def time_on_device(self, step: Step, n_steps: int = 1) -> float | None:
        """Seconds per step between two events on the device itself; None where the device has no events to trust.

        Finer than ``time`` for work shorter than a synchronisation, but blind to the time the host takes to
        launch the first kernel.
        """
        start, end = new_event(self.device), new_event(self.device)
        if start is None or end is None:
            return None
        self._wait()
        start.record()
        for _ in range(n_steps):
            step()
        end.record()
        self._wait()
        return float(start.elapsed_time(end)) * 1e-3 / n_steps


def _nothing() -> None:
    """The empty step."""


def choose_steps_per_sample(step_s: float, overhead_s: float, max_overhead_ratio: float = 0.01) -> int:
    """Steps between two synchronisations so that the timer takes at most a share of each sample.

    Args:
        step_s: Seconds of a step, such as the last of the warm-up.
        overhead_s: The timer's overhead in seconds.
        max_overhead_ratio: Largest share of a sample that is the timer's.

    Raises:
        ValueError: For a time or share that is not over 0 (the overhead may be 0).
    """
    if step_s <= 0 or overhead_s < 0 or max_overhead_ratio <= 0:
        raise ValueError(f"times and shares are over 0, got {step_s=}, {overhead_s=}, {max_overhead_ratio=}")
    return min(MAX_STEPS_PER_SAMPLE, max(1, math.ceil(overhead_s / (max_overhead_ratio * step_s))))


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What ran before the measurement, in seconds; never part of the statistics.

    Attributes:
        first_step_s: The very first step, with compilation and lazy initialisation.
        warmup_s: All steps, the first one included.
        n_steps: How many there were.
        seconds: Each of them.
    """

    first_step_s: float
    warmup_s: float
    n_steps: int
    seconds: list[float]

    @property
    def columns(self) -> dict[str, float]:
        """Columns of the trials table."""
        return {"first_step_s": self.first_step_s, "warmup_s": self.warmup_s, "n_warmup_steps": self.n_steps}


def warm_up(
    step: Step, timer: Timer, *, max_s: float = 10.0, max_steps: int = MAX_WARMUP_STEPS,
    hopeless_s: float = math.inf, min_steps: int = MIN_WARMUP_STEPS,
) -> WarmUp:  # fmt: skip
    """Run steps until they no longer get faster.

    The steps after the first are cut into windows of at least five steps and a tenth of a second, or of fewer steps
    where those would take more than an eighth of ``max_s``. The warm-up ends with the first window whose median
    step is not over 5 % faster than that of the window before; after ``max_s`` seconds (the first step, which may
    compile, not counted) or ``max_steps`` steps at the latest, and never before ``min_steps``.

    Args:
        step: The work.
        timer: The device's timer.
        max_s: Seconds allowed after the first step.
        max_steps: Steps allowed.
        hopeless_s: A step that takes longer ends the warm-up, for then there is time to measure one step at most.
        min_steps: Steps taken even so: the first may be long for what it compiles or initialises.
    """
    seconds = [timer.time(step)]
    spent = window_s = 0.0
    window: list[float] = []
    before: float | None = None
    while len(seconds) < min_steps or (spent < max_s and len(seconds) < max_steps and seconds[-1] <= hopeless_s):
        seconds.append(timer.time(step))
        window.append(seconds[-1])
        window_s += seconds[-1]
        spent += seconds[-1]
        is_full = len(window) >= WARMUP_WINDOW_STEPS and window_s >= WARMUP_WINDOW_S
        if not is_full and window_s < max_s * WARMUP_WINDOW_SHARE:
            continue
        now = float(np.median(window))
        if before is not None and now >= before * (1 - WARMUP_GAIN):
            break
        before, window, window_s = now, [], 0.0
    return WarmUp(first_step_s=seconds[0], warmup_s=sum(seconds), n_steps=len(seconds), seconds=seconds)


def run_round(
    step: Step, timer: Timer, round_s: float, *, n_steps: int | None = None, steps_per_sample: int = 1,
    is_over: Callable[[], bool] | None = None,
) -> list[float]:  # fmt: skip
    """One round: samples of seconds per step.

    Args:
        step: The work.
        timer: The device's timer.
        round_s: Stop at the first sample that ends after this many seconds.
        n_steps: Run exactly this many steps instead.
        steps_per_sample: Steps between two synchronisations; a sample is their mean.
        is_over: Asked after each sample of a round of ``n_steps``; True ends the round there.
    """
    samples: list[float] = []
    if n_steps is not None:
        for done in range(0, n_steps, steps_per_sample):
            n = min(steps_per_sample, n_steps - done)
            samples.append(timer.time(step, n) / n)
            if is_over is not None and is_over():
                break
        return samples
    end = time.perf_counter() + round_s
    while True:
        samples.append(timer.time(step, steps_per_sample) / steps_per_sample)
        if time.perf_counter() >= end or len(samples) >= MAX_SAMPLES_PER_ROUND:
            return samples
