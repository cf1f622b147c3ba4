"""Memory of a cell: peaks on the device and of the process."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import psutil
import torch

from sweeps.measure.device import memory_now, reset_peaks

INTERVAL_S = 0.05
"""Between two samples. One costs some 30 us, so the monitor takes under 0.1 % of a core."""


def resident_bytes() -> int:
    """Resident memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


class MemoryMonitor:
    """Context manager that follows a cell's memory from a thread.

    The device's own peak counters are used where it has them; elsewhere (Apple GPUs) the current figures are
    sampled, and a peak between two samples is missed.

    Args:
        device: An open device.
        interval_s: Seconds between two samples.
    """

    def __init__(self, device: torch.device, interval_s: float = INTERVAL_S) -> None:
        self._device, self._interval_s = device, interval_s
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._peak_rss = 0
        self._sampled: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> MemoryMonitor:
        reset_peaks(self._device)
        self._sample()
        self._thread = threading.Thread(target=self._follow, name="memory-monitor", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _follow(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        self._peak_rss = max(self._peak_rss, int(self._process.memory_info().rss))
        now = memory_now(self._device)
        if now.peak_allocated_bytes is None and now.allocated_bytes is not None:
            for name in ("allocated_bytes", "reserved_bytes"):
                self._sampled[name] = max(self._sampled.get(name, 0), getattr(now, name) or 0)

    def columns(self) -> dict[str, Any]:
        """The peaks so far, as columns of the trials table."""
        self._sample()
        now = memory_now(self._device)
        return {
            "device_peak_allocated_bytes": now.peak_allocated_bytes or self._sampled.get("allocated_bytes"),
            "device_peak_reserved_bytes": now.peak_reserved_bytes or self._sampled.get("reserved_bytes"),
            "device_recommended_max_bytes": now.recommended_max_bytes,
            "peak_rss_bytes": self._peak_rss,
        }
