"""Copies between host and device: their bandwidth, and their share of a step.

On the CPU a copy is one from memory to memory, pinned memory means nothing and its columns are None; on a unified
memory the same columns show what the shared memory saves. Copies are timed by the device's own events where it has
them, as those of a single image take no longer than a synchronisation does.

A device without a second stream (Apple GPUs, until torch 2.15) has no column of overlap, and one without pinned memory
of the host none of that. Both are asked for by trying; it was not run on a Mac.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sweeps.measure.device.device import has_unified_memory
from sweeps.measure.timing.clock import Step, Timer
from workloads.models.calls.answers import tensors_of
from workloads.runtime.streams import has_streams, pinned

Tensors = tuple[torch.Tensor, ...]

BANDWIDTH_BYTES = 64 * 2**20
REPEATS = 7
MIN_REPEATS = 3
MAX_S = 0.25
"""A slow step is timed fewer times: transfers are told beside the rounds, which have its median already."""
LONG_S = 1.0
"""A sample over this is the last."""
MIN_PIPELINE_STEPS, MAX_PIPELINE_STEPS = 3, 8
"""Steps in a row that copies overlap with, as the first waits for its copy; fewer where steps or copies are long."""


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """Columns of the trials table; see ``sweeps/store/trial_columns.py``."""

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
    unified_memory: bool | None


def _median_s(sample: Callable[[], float]) -> float:
    """Median of some samples, fewer where they are long; the first one, which warms up, is left out."""
    sample()
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < MIN_REPEATS or sum(seconds) < MAX_S):
        seconds.append(sample())
        if seconds[-1] > LONG_S:
            break
    return float(np.median(seconds))


def _copy_s(timer: Timer, copy: Step, n_copies: int = 1) -> float:
    """Seconds of one copy: between two events of the device where it has them, else by the host's clock."""

    def sample() -> float:
        on_device = timer.time_on_device(copy, n_copies)
        return timer.time(copy, n_copies) / n_copies if on_device is None else on_device

    return _median_s(sample)


def _pinned_like(tensor: torch.Tensor) -> torch.Tensor | None:
    """Uninitialised pinned memory of the host in a tensor's shape and layout, or None as for ``pinned``."""
    try:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu", pin_memory=True)
    except (RuntimeError, NotImplementedError):
        return None


def _release_pinned() -> None:
    """Give pinned memory that PyTorch keeps for later back to the host, where it can (``torch.accelerator``)."""
    release = getattr(torch.accelerator, "empty_host_cache", None)
    if release is not None:
        release()


def _overlapped_s(
    timer: Timer,
    host: Tensors,
    landing: Tensors,
    compute: Callable[[Tensors], object],
    longest_s: float,
) -> float | None:
    """Seconds per step when the next batch is copied in on a stream of its own while this one is computed.

    The result is copied out in turn with the computation, to pinned memory like ``landing`` that is taken once:
    ``to("cpu", non_blocking=True)`` takes some anew for each step (pytorch issue 39694), up to half a second for
    gigabytes.

    ``longest_s`` is what the longest of copy in, computation and copy out takes: no overlapped step is shorter.
    """
    device = timer.device
    if not has_streams(device.type):
        return None
    source = [held for tensor in host if (held := pinned(tensor)) is not None]
    out = [held for tensor in landing if (held := _pinned_like(tensor)) is not None]
    if (len(source), len(out)) != (len(host), len(landing)):
        return None
    n_steps = max(MIN_PIPELINE_STEPS, min(MAX_PIPELINE_STEPS, int(MAX_S / longest_s)))
    copies, main = torch.Stream(device), torch.accelerator.current_stream(device)

    def fetch() -> tuple[Tensors, torch.Event]:
        with copies:
            batch = tuple(tensor.to(device, non_blocking=True) for tensor in source)
            return batch, copies.record_event()

    def run() -> None:
        ready = fetch()
        for left in reversed(range(n_steps)):
            batch, copied = ready
            if left:  # as many copies as steps: nothing computes what would be fetched after the last one
                ready = fetch()
            main.wait_event(copied)
            for tensor in batch:
                tensor.record_stream(main)
            for there, made in zip(out, tensors_of(compute(batch)), strict=False):
                there.copy_(made, non_blocking=True)

    return _median_s(lambda: timer.time(run)) / n_steps


def _like(tensors: Tensors, device: str | None = None) -> Tensors:
    return tuple(torch.empty_like(tensor, device=device) for tensor in tensors)


def _copy(targets: Tensors, sources: Tensors) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


@functools.cache
def _bandwidths(device: torch.device) -> dict[str, float | None]:
    """Bytes per second of large copies; they are the machine's, so each process measures them once."""
    timer = Timer(device)
    pageable = torch.ones(BANDWIDTH_BYTES, dtype=torch.uint8)
    on_device = torch.ones(BANDWIDTH_BYTES, dtype=torch.uint8, device=device)
    rate = lambda copy, n=1: BANDWIDTH_BYTES / _copy_s(timer, copy, n)  # noqa: E731
    rates: dict[str, float | None] = {
        "h2d_pageable_bytes_per_s": rate(lambda: on_device.copy_(pageable)),
        "d2h_pageable_bytes_per_s": rate(lambda: pageable.copy_(on_device)),
        "h2d_pinned_bytes_per_s": None,
        "h2d_nonblocking_bytes_per_s": None,
        "d2h_pinned_bytes_per_s": None,
    }
    kept = None if device.type == "cpu" else pinned(pageable)
    if kept is not None:
        rates["h2d_pinned_bytes_per_s"] = rate(lambda: on_device.copy_(kept))
        rates["h2d_nonblocking_bytes_per_s"] = rate(lambda: on_device.copy_(kept, non_blocking=True), 4)
        rates["d2h_pinned_bytes_per_s"] = rate(lambda: kept.copy_(on_device))
    return rates


def measure_transfers(
    device: torch.device,
    host_batch: torch.Tensor | Tensors,
    compute: Callable[[Any], object],
    compute_s: float | None = None,
) -> Transfers:
    """Time a step's copy in, computation and copy out, one after the other and overlapped.

    Args:
        device: An open device.
        host_batch: A batch in pageable host memory, of one tensor or several.
        compute: The step on a batch that is on the device; its result, tensors in any structure, stays there.
        compute_s: What the computation takes, in seconds, where it has been timed already.
    """
    timer, is_one = Timer(device), isinstance(host_batch, torch.Tensor)
    host: Tensors = (host_batch,) if isinstance(host_batch, torch.Tensor) else host_batch
    step = (lambda batch: compute(batch[0])) if is_one else compute
    batch = tuple(tensor.to(device) for tensor in host)
    result = tuple(tensors_of(step(batch)))
    target, landing = _like(batch), _like(result, device="cpu")
    copy_in = _copy_s(timer, lambda: _copy(target, host))
    # Before the computation is timed: the next one takes the result's memory back where its graph was captured.
    copy_out = _copy_s(timer, lambda: _copy(landing, result))
    # By the host's clock: what the host takes to launch the first kernel is part of a step.
    computing = _median_s(lambda: timer.time(lambda: step(batch))) if compute_s is None else compute_s
    overlapped = _overlapped_s(timer, host, landing, step, max(copy_in, computing, copy_out))
    if overlapped is not None:
        _release_pinned()
    return Transfers(
        copy_in_s=copy_in,
        compute_s=computing,
        copy_out_s=copy_out,
        overlapped_step_s=overlapped,
        copy_share_ratio=(copy_in + copy_out) / (copy_in + computing + copy_out),
        unified_memory=has_unified_memory(device),
        **_bandwidths(device),  # type: ignore[arg-type]
    )
