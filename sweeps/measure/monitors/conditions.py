"""Conditions of a measurement: temperature, clock, throttling, and load from elsewhere on the machine.

NVIDIA GPUs are asked through NVML, Intel's processors on Linux through the kernel's counters. macOS's thermal pressure
is read without root by ``notifyutil`` and ``pmset``, which come with the system; their output is parsed as others have
published it, and neither was run here. Where nobody tells, the timings themselves show a device that slows down.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from sweeps.measure.device import nvml
from sweeps.measure.device.device import is_apple_gpu, nvml_handle
from sweeps.measure.device.quota import held_back_ns
from sweeps.measure.timing.statistics import Samples, slowing

# Bits of nvmlDeviceGetCurrentClocksEventReasons that mean "slower than asked" (NVML API reference).
_NVML_REASONS = {
    0x4: "power cap", 0x8: "hardware slowdown", 0x20: "thermal (software)", 0x40: "thermal (hardware)",
    0x80: "power brake",
}  # fmt: skip
# nvmlPerfPolicyType_t: nanoseconds below the clocks asked for, counted by the driver, by cause.
_NVML_POLICIES = {0: "power cap", 1: "thermal", 3: "board limit", 5: "reliability"}
THROTTLED_SHARE = 0.01
"""Share of the window below the clocks asked for from which the counters call it throttled."""
# OSThermalNotification.h; macOS slows down at the second level, so the first is no throttling.
_MAC_PRESSURE = {0: None, 1: None, 2: "heavy thermal pressure", 3: "trapping thermal pressure", 4: "sleeping"}
_MAC_PRESSURE_KEY = "com.apple.system.thermalpressurelevel"
_OTHER_LOAD_MIN_S = 0.2
ASK_EVERY_S = 1.0
"""Between rounds macOS is asked this often at most: it takes a process, and a GPU that waits for long falls asleep."""
BUSY_RATIO = 0.1
"""Share of the CPU time in other hands from which they, and not the device, may be why steps became slower."""
_KERNEL_COUNTERS = Path("/sys/devices/system/cpu")
_QUOTA = "CPU quota spent"


def _nvml_reasons(handle: Any) -> list[str] | None:
    """What slows the device right now; None if the driver cannot tell."""
    import pynvml

    try:
        bits = int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError:
        return None
    return [name for bit, name in _NVML_REASONS.items() if bits & bit]


def _nvml_state(handle: Any) -> dict[str, Any]:
    """Temperature, clock, reasons reported now, and the driver's counters in ns; only what it can tell."""
    import pynvml

    reasons = _nvml_reasons(handle)
    state: dict[str, Any] = {} if reasons is None else {"reasons": reasons}
    with contextlib.suppress(pynvml.NVMLError):
        state["temperature_c"] = float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
    with contextlib.suppress(pynvml.NVMLError):
        state["clock_mhz"] = float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
    counters: dict[str, int] = {}
    for policy, name in _NVML_POLICIES.items():
        with contextlib.suppress(pynvml.NVMLError):
            counters[name] = int(pynvml.nvmlDeviceGetViolationStatus(handle, policy).violationTime)
    return {**state, "held_back_ns": counters}


def held_back_reasons(before: Mapping[str, int], after: Mapping[str, int], wall_s: float) -> list[str]:
    """Causes that held the clock back for over 1 % of a window.

    Args:
        before: Nanoseconds by cause when the window began.
        after: The same when it ended.
        wall_s: Length of the window in seconds.
    """
    least_ns = THROTTLED_SHARE * wall_s * 1e9
    return [name for name, ns in after.items() if ns - before.get(name, ns) > least_ns]


def parse_pmset(text: str) -> list[str] | None:
    """Reasons in what ``pmset -g therm`` prints: a CPU speed limit under 100; None if it says nothing of it."""
    match = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", text)
    if match is None:
        return [] if "No thermal warning level has been recorded" in text else None
    return [f"CPU speed limit {match[1]} %"] if int(match[1]) < 100 else []


def parse_pressure(text: str) -> list[str] | None:
    """Reasons in what ``notifyutil -g com.apple.system.thermalpressurelevel`` prints; None if it is no level."""
    match = re.fullmatch(rf"{re.escape(_MAC_PRESSURE_KEY)}\s+(\d+)\s*", text)
    if match is None or int(match[1]) not in _MAC_PRESSURE:
        return None
    reason = _MAC_PRESSURE[int(match[1])]
    return [] if reason is None else [reason]


def _output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _mac_pressure() -> list[str] | None:
    return parse_pressure(_output_of("notifyutil", "-g", _MAC_PRESSURE_KEY))


def _mac_state() -> dict[str, Any]:
    answers = [
        _mac_pressure(),
        parse_pmset(_output_of("pmset", "-g", "therm")),
    ]
    known = [reasons for reasons in answers if reasons is not None]
    return {"reasons": [reason for reasons in known for reason in reasons]} if known else {}


def _kernel_state(folder: Path) -> dict[str, Any]:
    """Nanoseconds that any core was held back for its heat, as Linux counts them of Intel's; empty where it does not.

    ``thermal_throttle/*_throttle_total_time_ms``, the kernel's ABI documentation of sysfs.
    """
    times = []
    for file in folder.glob("cpu[0-9]*/thermal_throttle/*_throttle_total_time_ms"):
        with contextlib.suppress(OSError, ValueError):
            times.append(int(file.read_text()))
    return {"reasons": [], "held_back_ns": {"thermal": max(times) * 10**6}} if times else {}


def slowed_reason(round_medians: Samples, other_load_ratio: float | None) -> str | None:
    """That the steps of a cell became steadily slower with no other load on the machine; None if they did not."""
    share = slowing(round_medians)
    if share is None or (other_load_ratio is not None and other_load_ratio > BUSY_RATIO):
        return None
    return f"steps slowed by {share:.0%} while measured, for no reason reported here"


def _busy_s() -> float:
    """CPU seconds that the machine's cores have worked since it started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # On Linux guest time is part of user time already.
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _own_s(others: Sequence[int] = ()) -> float:
    """CPU seconds of this process and further ones, and of their children, those that ended included."""
    total = 0.0
    for process in (psutil.Process(), *map(psutil.Process, others)):
        own = process.cpu_times()
        total += own.user + own.system + own.children_user + own.children_system
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # a child may end while it is asked
                times = child.cpu_times()
                total += times.user + times.system
    return total


class ConditionMonitor:
    """Context manager that notes the conditions of a measurement; ask ``columns`` at its end, inside it.

    ``other_load_ratio`` is the share of all cores' time that was spent by neither this process, nor those that compute
    with it (``pids``), nor their children. Further ``boards``, NVIDIA's UUIDs, are only asked what slows them.
    """

    def __init__(self, device: torch.device, pids: Sequence[int] = (), boards: Sequence[str | None] = ()) -> None:
        self._pids = pids
        self._others = [handle for board in boards if (handle := board and nvml.handle_of(board)) is not None]
        self._handle = nvml_handle(device)
        self._is_mac = is_apple_gpu(device) or (device.type == "cpu" and sys.platform == "darwin")
        self._is_cpu = device.type == "cpu"
        self._asked = 0.0
        self._start: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._began = self._busy = self._own = 0.0
        self._stood_still_ns: int | None = None

    def _state(self) -> dict[str, Any]:
        if self._handle is not None:
            return _nvml_state(self._handle)
        self._asked = time.monotonic()
        return _mac_state() if self._is_mac else _kernel_state(_KERNEL_COUNTERS) if self._is_cpu else {}

    def __enter__(self) -> ConditionMonitor:
        self._start = self._state()
        self._seen = set(self._start.get("reasons", []))
        self._stood_still_ns = held_back_ns()
        self._began, self._busy, self._own = time.monotonic(), _busy_s(), _own_s(self._pids)
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self) -> None:
        """Note what slows the device right now, such as after each round; a Mac is asked every second at most."""
        if self._handle is not None:
            for handle in (self._handle, *self._others):
                self._seen.update(_nvml_reasons(handle) or [])
        elif self._is_mac and time.monotonic() - self._asked >= ASK_EVERY_S:
            self._seen.update(_mac_pressure() or [])
            self._asked = time.monotonic()

    def columns(self, round_medians: Samples = ()) -> dict[str, Any]:
        """The conditions since entering, as columns of the trials table.

        Args:
            round_medians: Median step of each round, which speak where nothing else does.
        """
        wall = time.monotonic() - self._began
        others = max(0.0, (_busy_s() - self._busy) - (_own_s(self._pids) - self._own))
        end = self._state()
        is_known = "reasons" in self._start and "reasons" in end
        held_back = held_back_reasons(self._start.get("held_back_ns", {}), end.get("held_back_ns", {}), wall)
        reasons = sorted({*self._seen, *end.get("reasons", []), *held_back})
        now_ns = held_back_ns()
        if self._stood_still_ns is not None and now_ns is not None:
            spent = held_back_reasons({_QUOTA: self._stood_still_ns}, {_QUOTA: now_ns}, wall)
            reasons, is_known = reasons + spent, is_known or bool(spent)
        load = others / (wall * (psutil.cpu_count() or 1)) if wall > _OTHER_LOAD_MIN_S else None
        if not reasons and (slowed := slowed_reason(round_medians, load)) is not None:
            reasons = [slowed]
            is_known = False  # it may have been anything
        return {
            "other_load_ratio": None if load is None else min(1.0, load),
            "temperature_start_c": self._start.get("temperature_c"),
            "temperature_end_c": end.get("temperature_c"),
            "clock_mhz": end.get("clock_mhz"),
            "is_throttled": bool(reasons) if is_known else None,
            "throttle_reasons": ", ".join(reasons) or None,
        }
