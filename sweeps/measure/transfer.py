"""Copies between host and device: their bandwidth, and their share of a step.

On the CPU a copy is one from memory to memory, pinned memory means nothing and its columns are None; on a unified
memory the same columns show what the shared memory saves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sweeps.measure.device import has_unified_memory
from sweeps.measure.timing import Timer

BANDWIDTH_BYTES = 64 * 2**20
REPEATS = 7
MIN_REPEATS = 3
MAX_S = 0.25
"""A slow step is timed fewer times: transfers are told beside the rounds, which have its median already."""
PIPELINE_STEPS = 8


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """Columns of the trials table; see ``sweeps/schema.py``."""

    copy_in_s: float
    compute_s: float
    copy_out_s: float
    overlapped_step_s: float | None
    copy_share_ratio: float
    h2d_pageable_bytes_per_s: float
    h2d_pinned_bytes_per_s: float | None
    h2d_nonblocking_bytes_per_s: float | None
    d2h_pageable_bytes_per_s: float
    d2h_pinned_bytes_per_s: float | None
    unified_memory: bool


def _median_s(timer: Timer, step: Callable[[], object], n_steps: int = 1) -> float:
    timer.time(step)
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < MIN_REPEATS or sum(seconds) < MAX_S):
        seconds.append(timer.time(step, n_steps))
    return float(np.median(seconds)) / n_steps


def _overlapped_s(timer: Timer, host: torch.Tensor, compute: Callable[[torch.Tensor], torch.Tensor]) -> float | None:
    """Seconds per step when the next batch is copied in on a stream of its own while this one is computed."""
    device = timer.device
    if device.type == "cpu":
        return None
    pinned = host.pin_memory()
    copies, main = torch.Stream(device), torch.accelerator.current_stream(device)

    def fetch() -> tuple[torch.Tensor, torch.Event]:
        with copies:
            batch = pinned.to(device, non_blocking=True)
            return batch, copies.record_event()

    def run() -> None:
        ready = fetch()
        for _ in range(PIPELINE_STEPS):
            (batch, copied), ready = ready, fetch()
            main.wait_event(copied)
            batch.record_stream(main)
            result = compute(batch)
            result.to("cpu", non_blocking=True)

    return _median_s(timer, run) / PIPELINE_STEPS


@functools.cache
def _bandwidths(device: torch.device) -> dict[str, float | None]:
    """Bytes per second of large copies; they are the machine's, so each process measures them once."""
    timer = Timer(device)
    pageable = torch.ones(BANDWIDTH_BYTES, dtype=torch.uint8)
    on_device = torch.ones(BANDWIDTH_BYTES, dtype=torch.uint8, device=device)
    rate = lambda step, n=1: BANDWIDTH_BYTES / _median_s(timer, step, n)  # noqa: E731
    rates: dict[str, float | None] = {
        "h2d_pageable_bytes_per_s": rate(lambda: on_device.copy_(pageable)),
        "d2h_pageable_bytes_per_s": rate(lambda: pageable.copy_(on_device)),
        "h2d_pinned_bytes_per_s": None,
        "h2d_nonblocking_bytes_per_s": None,
        "d2h_pinned_bytes_per_s": None,
    }
    if device.type != "cpu":
        pinned = pageable.pin_memory()
        rates["h2d_pinned_bytes_per_s"] = rate(lambda: on_device.copy_(pinned))
        rates["h2d_nonblocking_bytes_per_s"] = rate(lambda: on_device.copy_(pinned, non_blocking=True), 4)
        rates["d2h_pinned_bytes_per_s"] = rate(lambda: pinned.copy_(on_device))
    return rates


def measure_transfers(
    device: torch.device,
    host_batch: torch.Tensor,
    compute: Callable[[torch.Tensor], torch.Tensor],
    compute_s: float | None = None,
) -> Transfers:
    """Time a step's copy in, computation and copy out, one after the other and overlapped.

    Args:
        device: An open device.
        host_batch: A batch in pageable host memory.
        compute: The step on a batch that is on the device; its result stays there.
        compute_s: What the computation takes, in seconds, where it has been timed already.
    """
    timer = Timer(device)
    batch = host_batch.to(device)
    result = compute(batch)
    target, landing = torch.empty_like(batch), torch.empty_like(result, device="cpu")
    copy_in = _median_s(timer, lambda: target.copy_(host_batch))
    computing = _median_s(timer, lambda: compute(batch)) if compute_s is None else compute_s
    copy_out = _median_s(timer, lambda: landing.copy_(result))
    return Transfers(
        copy_in_s=copy_in,
        compute_s=computing,
        copy_out_s=copy_out,
        overlapped_step_s=_overlapped_s(timer, host_batch, compute),
        copy_share_ratio=(copy_in + copy_out) / (copy_in + computing + copy_out),
        unified_memory=has_unified_memory(device),
        **_bandwidths(device),  # type: ignore[arg-type]
    )
