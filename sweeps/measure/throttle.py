"""Conditions of a measurement: temperature, clock, throttling, and load from elsewhere on the machine.

macOS's thermal state is read from ``pmset -g therm``, which needs no rights; that was not run on a Mac.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from types import TracebackType
from typing import Any

import psutil
import torch

from sweeps.measure.device import is_apple_gpu, nvml_handle

# Bits of nvmlDeviceGetCurrentClocksEventReasons that mean "slower than asked" (NVML API reference).
_NVML_REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x20: "thermal (software)", 0x40: "thermal (hardware)",
    0x80: "power brake",
}  # fmt: skip
_OTHER_LOAD_MIN_S = 0.2


def _nvml_state(handle: Any) -> dict[str, Any]:
    import pynvml

    state: dict[str, Any] = {}
    with contextlib.suppress(pynvml.NVMLError):
        state["temperature_c"] = float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    with contextlib.suppress(pynvml.NVMLError):
        state["clock_mhz"] = float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
    with contextlib.suppress(pynvml.NVMLError):
        bits = int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
        state["reasons"] = [name for bit, name in _NVML_REASONS.items() if bits & bit]
    return state


def parse_pmset(text: str) -> list[str] | None:
    """Reasons in what ``pmset -g therm`` prints: a CPU speed limit under 100; None if it has no such line."""
    match = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", text)
    if match is None:
        return [] if "No thermal warning level has been recorded" in text else None
    return [f"CPU speed limit {match[1]} %"] if int(match[1]) < 100 else []


def _mac_state() -> dict[str, Any]:
    try:
        text = subprocess.run(["pmset", "-g", "therm"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    reasons = parse_pmset(text)
    return {} if reasons is None else {"reasons": reasons}


def _busy_s() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # On Linux guest time is part of user time already.
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _own_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


class ConditionMonitor:
    """Context manager that notes the conditions before and after; ``columns`` may be asked once inside it.

    ``other_load_ratio`` is the share of all cores' time that processes other than this one were busy.
    """

    def __init__(self, device: torch.device) -> None:
        self._handle = nvml_handle(device)
        self._is_apple = is_apple_gpu(device)
        self._start: dict[str, Any] = {}
        self._began = self._busy = self._own = 0.0

    def _state(self) -> dict[str, Any]:
        if self._handle is not None:
            return _nvml_state(self._handle)
        return _mac_state() if self._is_apple else {}

    def __enter__(self) -> ConditionMonitor:
        self._start = self._state()
        self._began, self._busy, self._own = time.monotonic(), _busy_s(), _own_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def columns(self) -> dict[str, Any]:
        """The conditions since entering, as columns of the trials table."""
        wall = time.monotonic() - self._began
        others = max(0.0, (_busy_s() - self._busy) - (_own_s() - self._own))
        end = self._state()
        known = "reasons" in self._start and "reasons" in end
        reasons = sorted({*self._start.get("reasons", []), *end.get("reasons", [])})
        return {
            "other_load_ratio": min(1.0, others / (wall * (psutil.cpu_count() or 1)))
            if wall > _OTHER_LOAD_MIN_S
            else None,
            "temperature_start_c": self._start.get("temperature_c"),
            "temperature_end_c": end.get("temperature_c"),
            "clock_mhz": end.get("clock_mhz"),
            "is_throttled": bool(reasons) if known else None,
            "throttle_reasons": ", ".join(reasons) or None,
        }
