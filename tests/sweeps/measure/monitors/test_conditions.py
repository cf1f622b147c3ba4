"""Throttling is read from NVML's and macOS's documented answers, load from elsewhere from real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest
import torch

from sweeps.measure.monitors import conditions as throttle
from sweeps.measure.monitors.conditions import (
    ConditionMonitor,
    held_back_reasons,
    parse_pmset,
    parse_pressure,
    slowed_reason,
)
from sweeps.store.schema import TRIALS
from tests.sweeps.measure.conftest import OneGpu

CPU = torch.device("cpu")
APPLE = SimpleNamespace(type="mps")


def columns_after(gpu: OneGpu, change=lambda: None, note: bool = False) -> dict[str, object]:
    with ConditionMonitor(gpu.device) as monitor:
        change()
        if note:
            monitor.note()
        return monitor.columns()


def test_a_cool_gpu_is_not_throttled_and_its_clock_and_temperatures_are_told(gpu: OneGpu) -> None:
    gpu.reasons = pynvml.nvmlClocksEventReasonGpuIdle | pynvml.nvmlClocksEventReasonApplicationsClocksSetting
    columns = columns_after(gpu, lambda: setattr(gpu, "temperature_c", 66))
    assert columns["is_throttled"] is False
    assert columns["throttle_reasons"] is None
    assert (columns["temperature_start_c"], columns["temperature_end_c"]) == (40.0, 66.0)
    assert columns["clock_mhz"] == 1980.0
    assert set(columns) <= set(TRIALS.names)


@pytest.mark.parametrize(
    ("bit", "reason"),
    [
        (pynvml.nvmlClocksEventReasonSwPowerCap, "power cap"),
        (pynvml.nvmlClocksThrottleReasonHwSlowdown, "hardware slowdown"),
        (pynvml.nvmlClocksEventReasonSwThermalSlowdown, "thermal (software)"),
        (pynvml.nvmlClocksThrottleReasonHwThermalSlowdown, "thermal (hardware)"),
        (pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown, "power brake"),
    ],
)
def test_each_of_nvmls_reasons_for_slowing_down_is_told(gpu: OneGpu, bit: int, reason: str) -> None:
    columns = columns_after(gpu, lambda: setattr(gpu, "reasons", bit))
    assert columns["is_throttled"] is True
    assert columns["throttle_reasons"] == reason


def test_a_reason_seen_after_one_round_only_is_kept(gpu: OneGpu) -> None:
    with ConditionMonitor(gpu.device) as monitor:
        gpu.reasons = pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
        monitor.note()
        gpu.reasons = 0
        assert monitor.columns()["throttle_reasons"] == "thermal (hardware)"


def test_time_held_back_between_two_readings_counts_though_nobody_saw_it_happen(gpu: OneGpu) -> None:
    gpu.held_back_ns = {pynvml.NVML_PERF_POLICY_POWER: 10**12}  # long before this window

    def heat() -> None:
        time.sleep(0.02)
        gpu.held_back_ns = {
            pynvml.NVML_PERF_POLICY_POWER: 10**12,
            pynvml.NVML_PERF_POLICY_THERMAL: 10_000_000,
        }

    columns = columns_after(gpu, heat)
    assert columns["is_throttled"] is True
    assert columns["throttle_reasons"] == "thermal"


def test_held_back_for_under_one_percent_is_no_throttling() -> None:
    before = {"power cap": 500, "thermal": 0}
    assert held_back_reasons(before, {"power cap": 500, "thermal": 99_000_000}, wall_s=10.0) == []
    assert held_back_reasons(before, {"power cap": 500, "thermal": 101_000_000}, wall_s=10.0) == ["thermal"]
    assert held_back_reasons({}, {"thermal": 10**12}, wall_s=10.0) == [], "since when is unknown"


def test_what_the_driver_cannot_tell_is_unknown_and_not_fine(gpu: OneGpu) -> None:
    gpu.lacks |= {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetTemperature", "nvmlDeviceGetClockInfo"}
    columns = columns_after(gpu, note=True)
    assert columns["is_throttled"] is None
    assert [columns[n] for n in ("temperature_start_c", "temperature_end_c", "clock_mhz")] == [None] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Note: No thermal warning level has been recorded\nNote: No performance warning level has been recorded\n",
            [],
        ),
        ("CPU Power notify\n\tCPU_Scheduler_Limit \t= 100\n\tCPU_Speed_Limit \t= 100\n", []),
        ("CPU Power notify\n\tCPU_Scheduler_Limit \t= 100\n\tCPU_Speed_Limit \t= 71\n", ["CPU speed limit 71 %"]),
        ("", None),
        ("pmset: command failed", None),
    ],
)
def test_what_pmset_prints_is_understood(text: str, expected: list[str] | None) -> None:
    assert parse_pmset(text) == expected


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("0", []), ("1", []), ("2", ["heavy thermal pressure"]), ("3", ["trapping thermal pressure"]), ("4", ["sleeping"]),
        ("9", None), ("unknown", None), ("", None),
    ],
)  # fmt: skip
def test_macos_thermal_pressure_slows_down_from_the_second_level(level: str, expected: list[str] | None) -> None:
    assert parse_pressure(f"com.apple.system.thermalpressurelevel {level}\n") == expected


def test_other_keys_are_no_level() -> None:
    assert parse_pressure("com.apple.system.other 2\n") is None


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that answer as a Mac's do, first on the path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def command(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_macs_own_commands_are_asked(mac: Path) -> None:
    command(mac, "notifyutil", '[ "$1" = -g ] && echo "$2 2"')
    command(mac, "pmset", 'echo "CPU_Speed_Limit = 60 for $1 $2"')
    with ConditionMonitor(APPLE) as monitor:
        monitor.note()
        columns = monitor.columns()
    assert columns["is_throttled"] is True
    assert columns["throttle_reasons"] == "CPU speed limit 60 %, heavy thermal pressure"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_one_of_the_two_commands_is_enough_and_neither_is_unknown(mac: Path) -> None:
    command(mac, "notifyutil", "exit 1")
    command(mac, "pmset", 'echo "Note: No thermal warning level has been recorded"')
    with ConditionMonitor(APPLE) as monitor:
        assert monitor.columns()["is_throttled"] is False
    command(mac, "pmset", "exit 1")
    with ConditionMonitor(APPLE) as monitor:
        assert monitor.columns()["is_throttled"] is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_heat_that_a_mac_had_only_between_two_rounds_is_kept(mac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(mac, "pmset", "exit 1")
    monkeypatch.setattr(throttle, "ASK_EVERY_S", 0.0)
    command(mac, "notifyutil", 'echo "$2 0"')
    with ConditionMonitor(APPLE) as monitor:
        command(mac, "notifyutil", 'echo "$2 2"')
        monitor.note()
        monkeypatch.setattr(throttle, "ASK_EVERY_S", 60.0)
        command(mac, "notifyutil", 'echo "$2 3"')
        monitor.note()
        command(mac, "notifyutil", 'echo "$2 0"')
        columns = monitor.columns()
    assert (columns["is_throttled"], columns["throttle_reasons"]) == (True, "heavy thermal pressure")


def test_the_kernels_counters_tell_of_a_processor_that_was_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = tmp_path / "cpu1" / "thermal_throttle" / "core_throttle_total_time_ms"
    counter.parent.mkdir(parents=True)
    monkeypatch.setattr(throttle, "_KERNEL_COUNTERS", tmp_path)
    counter.write_text("7\n")
    with ConditionMonitor(CPU) as monitor:
        assert monitor.columns()["is_throttled"] is False
        counter.write_text("5007\n")
        columns = monitor.columns()
    assert (columns["is_throttled"], columns["throttle_reasons"]) == (True, "thermal")
    counter.write_text("no number")
    with ConditionMonitor(CPU) as monitor:
        assert monitor.columns()["is_throttled"] is None


def test_where_nothing_tells_steps_that_slow_down_are_noted_unless_others_used_the_machine() -> None:
    medians = [1.0, 1.1, 1.2, 1.35, 1.5]
    assert slowed_reason(medians, 0.02) == "steps slowed by 50% while measured, for no reason reported here"
    assert slowed_reason(medians, None) is not None
    assert slowed_reason(medians, 0.3) is None
    assert slowed_reason(medians[::-1], 0.02) is None
    with ConditionMonitor(APPLE) as monitor:
        columns = monitor.columns(medians)
    assert columns["is_throttled"] is None
    assert columns["throttle_reasons"].startswith("steps slowed by 50%")


def test_the_cpu_of_a_machine_whose_kernel_counts_nothing_has_unknown_throttling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    monkeypatch.setattr(throttle, "_KERNEL_COUNTERS", tmp_path)
    with ConditionMonitor(CPU) as monitor:
        columns = monitor.columns()
    assert columns["is_throttled"] is None
    assert columns["temperature_end_c"] is None


BURN = "import time; end = time.process_time() + {}; [None for _ in iter(lambda: time.process_time() < end, False)]"


@pytest.mark.skipif(sys.platform == "win32", reason="an orphan is adopted by another process on POSIX only")
def test_a_process_that_is_not_ours_is_seen_as_load_from_elsewhere() -> None:
    with ConditionMonitor(CPU) as monitor:
        # The shell ends at once, so that what it left running belongs to nobody here.
        shell = subprocess.run(
            ["/bin/sh", "-c", f'"{sys.executable}" -c "{BURN.format(2.0)}" >/dev/null 2>&1 & echo $!'],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        stranger = psutil.Process(int(shell.stdout))
        began, spent = time.monotonic(), 0.0
        while spent < 0.4 and time.monotonic() - began < 30:
            time.sleep(0.02)
            times = stranger.cpu_times()
            spent = times.user + times.system
        load, wall = monitor.columns()["other_load_ratio"], time.monotonic() - began
        stranger.kill()
    assert spent >= 0.4
    assert load is not None
    assert load * (wall + 1.0) * psutil.cpu_count() >= 0.3, "its 0.4 s are among those of others"
    assert 0 < load <= 1


def test_work_of_this_process_and_its_children_is_its_own() -> None:
    before = throttle._own_s()
    subprocess.run([sys.executable, "-c", BURN.format(0.2)], check=True)
    after_child = throttle._own_s()
    assert after_child - before >= 0.2, "a child that has ended"
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert throttle._own_s() - after_child >= 0.08
    child = subprocess.Popen([sys.executable, "-c", BURN.format(0.3) + "; time.sleep(60)"])
    try:
        before, began = throttle._own_s(), time.monotonic()
        while throttle._own_s() - before < 0.2 and time.monotonic() - began < 30:
            time.sleep(0.02)
        assert throttle._own_s() - before >= 0.2, "a child that is running"
    finally:
        child.kill()
        child.wait()


def test_a_window_too_short_to_tell_has_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    with ConditionMonitor(CPU) as monitor:
        assert monitor.columns()["other_load_ratio"] is None
        time.sleep(throttle._OTHER_LOAD_MIN_S + 0.01)
        load = monitor.columns()["other_load_ratio"]
    assert load is not None
    assert 0 <= load <= 1
