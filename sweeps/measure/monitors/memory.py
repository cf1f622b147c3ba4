"""Memory of a cell: peaks on the device and of the process."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from typing import Any, ClassVar

import psutil
import torch

from sweeps.measure.device.memory_counters import DeviceMemory, allocation_retries, memory_now, reset_peaks

INTERVAL_S = 0.05
"""Between two samples, where peaks must be sampled. One takes the interpreter from the measurement for some 30 us."""
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def resident_bytes() -> int:
    """Resident memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


def reset_kernel_peak() -> bool:
    """Start Linux's own count of this process's peak anew; False where there is none or it may not be reset.

    The kernel's documentation, filesystems/proc: writing 5 to ``clear_refs`` resets ``VmHWM`` to what is resident now.
    """
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return kernel_peak_bytes() is not None


def kernel_peak_bytes() -> int | None:
    """The most that was resident since the last reset; None where the kernel does not say."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None


def _beyond(peak: int | None, before: int | None) -> int | None:
    return None if peak is None else max(0, peak - (before or 0))


class MemoryMonitor:
    """Context manager that follows a cell's memory.

    The kernel's and the device's own peak counters are used where they are there, as they miss nothing and cost
    nothing while a step runs. Elsewhere (the process on macOS and Windows, a device that counts no peaks) the current
    figures are sampled from a thread, and a peak between two samples is missed. What the device held already when the
    window began, libraries' workspaces and what earlier cells left, is no part of its peaks.

    Args:
        device: An open device.
        interval_s: Seconds between two samples.
    """

    _open: ClassVar[list[MemoryMonitor]] = []

    def __init__(self, device: torch.device, interval_s: float = INTERVAL_S) -> None:
        self._device, self._interval_s = device, interval_s
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._peak_rss = 0
        self._has_kernel_peak = False
        self._sampled: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._retries_before: int | None = None
        self._before = DeviceMemory()

    def __enter__(self) -> MemoryMonitor:
        reset_peaks(self._device)
        self._before = memory_now(self._device)
        for monitor in self._open:
            monitor._sample()  # the reset below would take their peak from them
        self._has_kernel_peak = reset_kernel_peak()
        self._open.append(self)
        self._sample()
        if not self._has_kernel_peak or self._sampled:
            self._thread = threading.Thread(target=self._follow, name="memory-monitor", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self in self._open:
            self._open.remove(self)

    def _follow(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        resident = kernel_peak_bytes() if self._has_kernel_peak else None
        self._peak_rss = max(self._peak_rss, resident or int(self._process.memory_info().rss))
        now = memory_now(self._device)
        if now.peak_allocated_bytes is None and now.allocated_bytes is not None:
            for name in ("allocated_bytes", "reserved_bytes"):
                self._sampled[name] = max(self._sampled.get(name, 0), getattr(now, name) or 0)

    def begin_rounds(self) -> None:
        """Count the allocator's retries from here on."""
        self._retries_before = allocation_retries(self._device)

    def retry_columns(self, n_steps: float) -> dict[str, float | None]:
        """The allocator's retries since ``begin_rounds`` as a column of the trials table; null where nobody counts.

        Args:
            n_steps: Steps since then.
        """
        before, now = self._retries_before, allocation_retries(self._device)
        if before is None or now is None or n_steps <= 0:
            return {"allocation_retries_per_step": None}
        return {"allocation_retries_per_step": (now - before) / n_steps}

    def columns(self) -> dict[str, Any]:
        """The peaks so far, as columns of the trials table."""
        self._sample()
        now = memory_now(self._device)
        allocated = self._sampled.get("allocated_bytes", now.peak_allocated_bytes)
        reserved = self._sampled.get("reserved_bytes", now.peak_reserved_bytes)
        return {
            "device_peak_allocated_bytes": _beyond(allocated, self._before.allocated_bytes),
            "device_peak_reserved_bytes": _beyond(reserved, self._before.reserved_bytes),
            "device_held_before_bytes": self._before.allocated_bytes,
            "device_recommended_max_bytes": now.recommended_max_bytes,
            "peak_rss_bytes": self._peak_rss,
        }
