"""A device's own memory counters, found by what its backend offers. Names no device.

CUDA and XPU backends count allocated and reserved bytes and their peaks; Apple's counts only what is held now, and says
what the system recommends as the most (torch.mps's documented functions; not run on a Mac); the CPU's has none.
"""

from __future__ import annotations

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

    # Apple's functions have names of their own and take no device.
    allocated, reserved = counted("memory_allocated", device), counted("memory_reserved", device)
    return DeviceMemory(
        allocated_bytes=counted("current_allocated_memory") if allocated is None else allocated,
        reserved_bytes=counted("driver_allocated_memory") if reserved is None else reserved,
        peak_allocated_bytes=counted("max_memory_allocated", device),
        peak_reserved_bytes=counted("max_memory_reserved", device),
        recommended_max_bytes=counted("recommended_max_memory"),
    )
