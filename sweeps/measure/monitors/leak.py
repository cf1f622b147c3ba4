"""Does memory grow? A step repeated steadily, the slope of memory over steps with its interval, and a verdict."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.contract.cells import LEAK_BYTES_PER_STEP
from sweeps.measure.device.device import synchronize
from sweeps.measure.device.memory_counters import memory_now
from sweeps.measure.monitors.memory import resident_bytes

N_POINTS = 40
SETTLE_SHARE = 0.25
MAX_S = 10.0
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Bytes per step with the ends of the 95 % interval."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, kw_only=True)
class LeakResult:
    """Columns of the trials table; the figures are of the repetition (fixed or varying shapes) that grew more."""

    leak_verdict: str
    leak_shapes: str
    leak_device_bytes_per_step: float | None
    leak_device_low_bytes_per_step: float | None
    leak_device_high_bytes_per_step: float | None
    leak_host_bytes_per_step: float | None
    leak_host_low_bytes_per_step: float | None
    leak_host_high_bytes_per_step: float | None


def fit_slope(steps: np.ndarray, n_bytes: np.ndarray) -> Slope:
    """Growth in bytes per step by Theil and Sen's median of slopes (Sen 1968), which single jumps do not sway.

    Args:
        steps: Steps done at each reading.
        n_bytes: Memory at each reading.
    """
    from scipy import stats  # half a second, of this check alone

    fitted = stats.theilslopes(n_bytes, steps, CONFIDENCE)
    return Slope(low=float(fitted.low_slope), value=float(fitted.slope), high=float(fitted.high_slope))


def verdict(slopes: list[Slope], threshold: float = LEAK_BYTES_PER_STEP) -> str:
    """``leak`` if any interval lies over the threshold, ``none`` if all lie under it, else ``undecided``."""
    if any(slope.low > threshold for slope in slopes):
        return "leak"
    return "none" if all(slope.high < threshold for slope in slopes) else "undecided"


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """The function of glibc that gives freed memory back to the system; None with other C libraries."""
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


def _return_freed() -> None:
    """Make resident memory what is held: a leak into memory that was freed before would not show for a while."""
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@contextlib.contextmanager
def _quick_collection() -> Iterator[None]:
    """Spare the collector what is there already, as looking through the imported libraries takes 0.1 s each time."""
    if gc.get_freeze_count():
        yield  # somebody else did so, and undoing it is theirs
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _repeat(
    step: Callable[[], object], device: torch.device, max_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Steps done, host bytes and device bytes (None on the CPU) at up to N_POINTS readings after settling."""
    began = time.perf_counter()
    step()
    synchronize(device)
    one = max(time.perf_counter() - began, 1e-6)
    per_point = max(1, min(20, int(max_s / (N_POINTS * one))))
    done = 0
    readings: list[tuple[int, int, int | None]] = []
    n_settle = max(2, round(N_POINTS * SETTLE_SHARE))
    while len(readings) < N_POINTS + n_settle and (time.perf_counter() - began < max_s or len(readings) < n_settle + 6):
        for _ in range(per_point):
            step()
        done += per_point
        synchronize(device)
        _return_freed()
        readings.append((done, resident_bytes(), memory_now(device).allocated_bytes))
    kept = readings[n_settle:]  # caches fill in the first steps
    steps, host = np.array([r[0] for r in kept]), np.array([r[1] for r in kept])
    on_device = None if kept[0][2] is None else np.array([r[2] for r in kept])
    return steps, host, on_device


def check_leak(
    step_fixed: Callable[[], object],
    step_varying: Callable[[], object] | None,
    device: torch.device,
    *,
    max_s: float = MAX_S,
) -> LeakResult:
    """Repeat a step and judge whether device or host memory grows.

    Args:
        step_fixed: A step that always has the same shapes.
        step_varying: One whose shapes change from step to step, as caches of compiled graphs leak there; or None.
        device: The device.
        max_s: Seconds for both repetitions together; slow steps take at least sixteen each.
    """
    variants = [("fixed", step_fixed)] + ([("varying", step_varying)] if step_varying else [])
    found: list[tuple[str, Slope, Slope | None]] = []
    for name, step in variants:
        with _quick_collection():
            steps, host, on_device = _repeat(step, device, max_s / len(variants))
        found.append((name, fit_slope(steps, host), None if on_device is None else fit_slope(steps, on_device)))
    shapes, host_slope, device_slope = max(found, key=lambda f: max(f[1].low, f[2].low if f[2] else f[1].low))
    judged = [slope for _, host_s, device_s in found for slope in (host_s, device_s) if slope is not None]
    return LeakResult(
        leak_verdict=verdict(judged),
        leak_shapes=shapes,
        leak_device_bytes_per_step=device_slope.value if device_slope else None,
        leak_device_low_bytes_per_step=device_slope.low if device_slope else None,
        leak_device_high_bytes_per_step=device_slope.high if device_slope else None,
        leak_host_bytes_per_step=host_slope.value,
        leak_host_low_bytes_per_step=host_slope.low,
        leak_host_high_bytes_per_step=host_slope.high,
    )
