"""A device's own memory counters, found by what its backend and ``torch.accelerator`` offer. Names no device.

CUDA and XPU backends count allocated and reserved bytes and their peaks. Apple's module counts only what is held now,
and says what the system recommends as the most; its peaks are ``torch.accelerator``'s, which has them for every backend
that takes part in it (pytorch pull request 186748; not run on a Mac). The CPU's has none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Memory counters in bytes; None where the device has no such counter."""

    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    recommended_max_bytes: int | None = None


def backend_of(device: torch.device) -> Any:
    """The module of torch that a device's backend has, such as ``torch.cuda``; None without one."""
    return getattr(torch, device.type, None)


def empty_cache(device: torch.device) -> None:
    """Give memory that the allocator keeps for later back to the device."""
    if hasattr(backend_of(device), "empty_cache"):
        backend_of(device).empty_cache()


def reset_peaks(device: torch.device) -> None:
    """Start the device's peak counters anew, where it has them."""
    if hasattr(backend_of(device), "reset_peak_memory_stats"):
        backend_of(device).reset_peak_memory_stats(device)
    elif _shared_stats(device):
        with contextlib.suppress(RuntimeError):  # of a backend that counts and does not start anew
            torch.accelerator.reset_peak_memory_stats(device)


def _shared_stats(device: torch.device) -> Mapping[str, int]:
    """What the allocator counts of an accelerator that leaves that to ``torch.accelerator``; empty for any other."""
    with contextlib.suppress(AttributeError, RuntimeError, TypeError, ValueError):  # each torch and backend its own
        return torch.accelerator.memory_stats(device)
    return {}


def _shared_peak(stats: Mapping[str, int], of: str, held: int | None) -> int | None:
    """One of its peaks; a peak under what is held now is no count."""
    peak = stats.get(f"{of}.all.peak")
    return None if peak is None or peak < (held or 0) else peak


def memory_size(device: torch.device) -> int | None:
    """How many bytes a device has for tensors; None if nobody says.

    Where the system recommends a most, as it does of memory that the host shares, that and not the chips' size.
    """
    backend = backend_of(device)
    if hasattr(backend, "recommended_max_memory"):
        return int(backend.recommended_max_memory())
    if hasattr(backend, "get_device_properties"):
        told = getattr(backend.get_device_properties(device), "total_memory", None)
        if told is not None:
            return int(told)
    with contextlib.suppress(AttributeError, RuntimeError, TypeError, ValueError):
        return int(torch.accelerator.get_memory_info(device)[1]) or None
    return None


def allocation_retries(device: torch.device) -> int | None:
    """How often this process's caching allocator found no memory, gave back what it kept and asked again.

    It is ``num_alloc_retries`` of PyTorch's ``memory_stats``. None where nobody counts.
    """
    backend = backend_of(device)
    return backend.memory_stats(device).get("num_alloc_retries") if hasattr(backend, "memory_stats") else None


def memory_now(device: torch.device) -> DeviceMemory:
    """The device's memory counters; all None on the CPU, whose memory is the process's."""
    backend = backend_of(device)

    def counted(name: str, *arguments: Any) -> int | None:
        return getattr(backend, name)(*arguments) if hasattr(backend, name) else None

    def known(*counts: int | None) -> int | None:
        return next((count for count in counts if count is not None), None)

    has_all = all(hasattr(backend, name) for name in ("memory_allocated", "max_memory_allocated"))
    stats = {} if has_all else _shared_stats(device)
    # Apple's functions have names of their own and take no device.
    allocated = known(
        counted("memory_allocated", device),
        counted("current_allocated_memory"),
        stats.get("allocated_bytes.all.current"),
    )
    reserved = known(
        counted("memory_reserved", device), counted("driver_allocated_memory"), stats.get("reserved_bytes.all.current")
    )
    peak_allocated = _shared_peak(stats, "allocated_bytes", allocated)
    return DeviceMemory(
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        peak_allocated_bytes=known(counted("max_memory_allocated", device), peak_allocated),
        peak_reserved_bytes=known(
            counted("max_memory_reserved", device), _shared_peak(stats, "reserved_bytes", peak_allocated)
        ),
        recommended_max_bytes=counted("recommended_max_memory"),
    )
