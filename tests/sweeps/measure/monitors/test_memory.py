"""Peaks are seen: of this process for real, of an Apple GPU by PyTorch's documented counters, sampled."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from sweeps.measure.monitors import memory
from sweeps.measure.monitors.memory import MemoryMonitor, kernel_peak_bytes, reset_kernel_peak, resident_bytes
from sweeps.store.schema import TRIALS

CPU = torch.device("cpu")
APPLE = SimpleNamespace(type="mps")
MIB = 2**20


def test_resident_memory_is_this_processes() -> None:
    assert resident_bytes() == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


@pytest.fixture(params=["kernel", "sampled"])
def counted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel's own count of the peak, and as where there is none."""
    if request.param == "kernel":
        if not reset_kernel_peak():
            pytest.skip("this kernel counts no peak that can be reset")
    else:
        monkeypatch.setattr(memory, "_CLEAR_REFS", Path("there") / "is" / "none")
    return str(request.param)


@pytest.mark.usefixtures("counted")
def test_a_peak_between_two_questions_is_seen() -> None:
    with MemoryMonitor(CPU, interval_s=0.01) as monitor:
        before = monitor.columns()["peak_rss_bytes"]
        block = torch.ones(200 * MIB, dtype=torch.uint8)
        time.sleep(0.1)
        del block
        assert resident_bytes() < before + 100 * MIB, "the block is gone by now"
        peak = monitor.columns()["peak_rss_bytes"]
    assert peak - before > 150 * MIB


def test_the_kernels_peak_is_exact_starts_anew_and_needs_no_thread() -> None:
    if not reset_kernel_peak():
        pytest.skip("this kernel counts no peak that can be reset")
    with MemoryMonitor(CPU) as monitor:
        assert monitors() == 0
        before = monitor.columns()["peak_rss_bytes"]
        torch.ones(300 * MIB, dtype=torch.uint8)  # gone before anybody could have sampled it
        assert monitor.columns()["peak_rss_bytes"] - before == pytest.approx(300 * MIB, rel=0.05)
    with MemoryMonitor(CPU) as monitor:
        assert monitor.columns()["peak_rss_bytes"] < before + 100 * MIB, "the last cell's peak is not this one's"


def test_a_window_inside_of_another_does_not_take_its_peak_away() -> None:
    with MemoryMonitor(CPU, interval_s=0.01) as outer:
        before = outer.columns()["peak_rss_bytes"]
        block = torch.ones(200 * MIB, dtype=torch.uint8)
        time.sleep(0.1)
        del block
        with MemoryMonitor(CPU) as inner:
            assert inner.columns()["peak_rss_bytes"] < before + 100 * MIB
        assert outer.columns()["peak_rss_bytes"] - before > 150 * MIB


def test_a_system_without_the_kernels_count_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert kernel_peak_bytes() is None
    (tmp_path / "none").write_text("Name:\tpython\nVmRSS:\t  100 kB\n")
    assert kernel_peak_bytes() is None
    (tmp_path / "none").write_text("Name:\tpython\nVmPeak:\t  999 kB\nVmHWM:\t  123 kB\nVmRSS:\t  100 kB\n")
    assert kernel_peak_bytes() == 123 * 1024
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path)
    assert not reset_kernel_peak()


def test_the_cpu_has_no_device_memory_rather_than_none_used() -> None:
    with MemoryMonitor(CPU) as monitor:
        columns = monitor.columns()
    assert set(columns) <= set(TRIALS.names)
    assert [columns[f"device_{name}_bytes"] for name in ("peak_allocated", "peak_reserved", "recommended_max")] == [
        None, None, None,
    ]  # fmt: skip


def monitors() -> int:
    return sum(thread.name == "memory-monitor" for thread in threading.enumerate())


def test_the_thread_ends_with_the_window_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", Path("there") / "is" / "none")
    seen: list[int] = []

    def fail() -> None:
        with MemoryMonitor(CPU):
            seen.append(monitors())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [1]
    assert monitors() == 0
    assert MemoryMonitor._open == []


def test_an_apple_gpus_peaks_are_the_most_that_was_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"tensors": 100, "driver": 500}
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: held["tensors"])
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: held["driver"])
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9000)
    with MemoryMonitor(APPLE, interval_s=0.005) as monitor:  # type: ignore[arg-type]
        held.update(tensors=700, driver=800)
        time.sleep(0.05)
        held.update(tensors=50, driver=600)
        columns = monitor.columns()
    assert columns["device_held_before_bytes"] == 100
    assert columns["device_peak_allocated_bytes"] == 700 - 100, "what was held before is not the cell's"
    assert columns["device_peak_reserved_bytes"] == 800 - 500
    assert columns["device_recommended_max_bytes"] == 9000


@pytest.mark.gpu
def test_an_accelerators_own_peak_counter_starts_anew_with_the_window() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu = open_device(available_devices()[1])
    del_me = torch.ones(256 * MIB, dtype=torch.uint8, device=gpu)
    del del_me
    with MemoryMonitor(gpu) as monitor:
        before = monitor.columns()["device_peak_allocated_bytes"] or 0
        block = torch.ones(64 * MIB, dtype=torch.uint8, device=gpu)
        del block
        assert 64 * MIB <= (monitor.columns()["device_peak_allocated_bytes"] or 0) - before < 128 * MIB
