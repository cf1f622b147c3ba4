"""What the host needs to launch a step, and the kernels that it runs on the device: what the profiles here are made of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from sweeps.measure.device.device import synchronize

N_PROFILED, N_NAMED = 20, 6


def launch_s(step: Callable[[], object], device: torch.device, n_steps: int = 10) -> float:
    """Seconds of the host for one step, the least of several runs from an empty queue.

    ``n_steps`` in a row must not fill the device's queue, which holds about a thousand launches: the host would wait.
    """
    found = []
    for _ in range(5):
        synchronize(device)
        began = time.perf_counter()
        for _ in range(n_steps):
            step()
        found.append((time.perf_counter() - began) / n_steps)
    synchronize(device)
    return min(found)


def kernels(step: Callable[[], object], device: torch.device) -> list[tuple[str, float]]:
    """Names and seconds a step of what ran on the device, the longest first; empty on a CPU."""
    if device.type == "cpu":
        return []
    activities = [getattr(ProfilerActivity, device.type.upper())]
    with profile(activities=activities, acc_events=True) as profiler:
        for _ in range(N_PROFILED):
            step()
        synchronize(device)
    found: dict[str, float] = {}
    for event in profiler.events():
        if event.device_type.name == device.type.upper() and event.key != "Activity Buffer Request":
            found[event.key] = found.get(event.key, 0.0) + event.device_time_total / 1e6 / N_PROFILED
    return sorted(found.items(), key=lambda pair: -pair[1])


def longest(found: list[tuple[str, float]]) -> str:
    """The longest kernels by name, with their milliseconds a step."""
    return "; ".join(f"{seconds * 1e3:.3f} {name[:60]}" for name, seconds in found[:N_NAMED])


def told_ms(found: list[tuple[str, float]]) -> str:
    """Milliseconds of all kernels of a step."""
    return f"{sum(seconds for _, seconds in found) * 1e3:.3f}" if found else "n/a"
