"""The same operation on more and more elements, timed on a device and on the CPU."""

from __future__ import annotations

import functools
import itertools
import statistics
import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from sweeps.coverage.child.calls import CPU, FORWARD, arguments, call
from sweeps.coverage.child.differences import tensors_of
from sweeps.measure.timing.clock import Timer
from workloads.operations.base import DTYPES, FLOAT_DTYPES, Operation, Sample, evenly

TARGET_ELEMENTS = (2**10, 2**14, 2**18, 2**22)
MAX_CALL_S = 0.02
"""Growing stops at the first size where a call takes longer, on either side."""
TIMED_S, MAX_TIMED_CALLS, N_WARMUP = 0.01, 9, 2
N_TRIED = 12


def repeated(sample: Sample, times: int, *, only_first: bool) -> Sample:
    """A sample whose first tensor is repeated along its first dimension, or every tensor whose is as long as that."""
    tensors = sample.tensors
    length = tensors[0].shape[0] if tensors and tensors[0].ndim else 0

    def grown(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        fits = value is tensors[0] if only_first else value.ndim > 0 and value.shape[0] == length
        return value.detach().repeat(times, *[1] * (value.ndim - 1)) if fits else value.detach()

    return sample.changed(grown)


def n_elements(sample: Sample) -> int:
    """Elements of all tensors among the arguments."""
    return sum(t.numel() for t in sample.tensors)


def _grows(sample: Sample, only_first: bool) -> bool:
    """Whether the operation takes the sample four times as long and gives four times as much."""
    if not sample.tensors or not sample.tensors[0].ndim or not sample.tensors[0].numel():
        return False
    try:
        before, after = (
            sum(t.numel() for t in tensors_of(call(s, FORWARD, CPU)))
            for s in (sample, repeated(sample, 4, only_first=only_first))
        )
    except Exception:  # whatever it raises, it does not grow this way
        return False
    return after > before


def growing(operation: Operation, dtype: str) -> tuple[Sample, bool] | None:
    """A sample that can be made larger, the largest first, with the way to do it; None if none can."""
    everything = [s for s in operation.samples(dtype) if all(t.layout == torch.strided for t in s.tensors)]
    for sample in sorted(evenly(everything, N_TRIED), key=n_elements, reverse=True):
        for only_first in (True, False):
            if _grows(sample, only_first):
                return sample, only_first
    return None


def time_call(sample: Sample, device: torch.device, timer: Timer) -> float:
    """Median seconds of a call, its inputs on the device already."""
    args, kwargs = arguments(sample, device, lambda t: t.to(device))

    def step() -> Any:
        with torch.no_grad():
            return sample.function(*args, **kwargs)

    timer.time(step, N_WARMUP)
    seconds: list[float] = []
    end = time.perf_counter() + TIMED_S
    while len(seconds) < 3 or (time.perf_counter() < end and len(seconds) < MAX_TIMED_CALLS):
        seconds.append(timer.time(step))
        if seconds[-1] > MAX_CALL_S:
            break
    return statistics.median(seconds)


def overtaking(elements: Sequence[int], device_s: Sequence[float], cpu_s: Sequence[float]) -> int | None:
    """The smallest size from which on the device is faster at every size; None if it is not at the largest."""
    from_the_largest = reversed(list(zip(elements, device_s, cpu_s, strict=True)))
    ahead = itertools.takewhile(lambda at_size: at_size[1] < at_size[2], from_the_largest)
    return min((size for size, *_ in ahead), default=None)


@functools.cache
def _timer(device: torch.device) -> Timer:
    return Timer(device)


def time_sizes(operation: Operation, dtype: str, device: torch.device) -> dict[str, Any]:
    """Time an operation's forward call at growing sizes on the device and, unless that is it, on the CPU.

    The CPU computes in fp32 for floating types, as its users do, and in the same type for whole numbers.

    Returns:
        Timing columns of the operations table; only ``not_timed`` where the operation does not grow.
    """
    cpu_dtype = "fp32" if dtype in FLOAT_DTYPES else dtype
    against_cpu = device.type != "cpu" or cpu_dtype != dtype
    with warnings.catch_warnings(action="ignore"):
        found = growing(operation, cpu_dtype)
        if found is None:
            return {"not_timed": "its samples cannot be made larger"}
        sample, only_first = found
        elements: list[int] = []
        device_s: list[float] = []
        cpu_s: list[float] = []
        for target in TARGET_ELEMENTS:
            times = max(1, target // max(1, n_elements(sample)))
            larger = repeated(sample, times, only_first=only_first)
            if elements and n_elements(larger) <= elements[-1]:
                continue
            elements.append(n_elements(larger))
            device_s.append(time_call(larger.cast(DTYPES[dtype]), device, _timer(device)))
            cpu_s += [time_call(larger, CPU, _timer(CPU))] if against_cpu else []
            if max(device_s[-1:] + cpu_s[-1:]) > MAX_CALL_S:
                break  # the next size is sixteen times as large
    return {
        "timing_elements": elements,
        "timing_device_s": device_s,
        "timing_cpu_s": cpu_s or None,
        "overtakes_at_elements": overtaking(elements, device_s, cpu_s) if cpu_s else None,
    }
