"""Memory counters are found by what a backend offers; makers' backends are stood in for by PyTorch's documented
functions, with their parameters."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch

from sweeps.measure.device.memory_counters import (
    DeviceMemory,
    allocation_retries,
    empty_cache,
    memory_now,
    memory_size,
    reset_peaks,
)

CPU = torch.device("cpu")
COUNTERS = {"memory_allocated": 11, "memory_reserved": 22, "max_memory_allocated": 33, "max_memory_reserved": 44}
APPLE = {"current_allocated_memory": 3, "driver_allocated_memory": 5, "recommended_max_memory": 7}


@pytest.mark.parametrize("backend", ["cuda", "xpu"])
def test_a_backend_with_peak_counters_is_asked_for_them_by_device(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    device, asked = SimpleNamespace(type=backend), []

    def counter(value: int):
        def read(device: object = None) -> int:
            asked.append(device)
            return value

        return read

    for name, value in COUNTERS.items():
        real = getattr(getattr(torch, backend), name)
        assert list(inspect.signature(real).parameters) == ["device"]
        monkeypatch.setattr(getattr(torch, backend), name, counter(value))
    assert memory_now(device) == DeviceMemory(
        allocated_bytes=11, reserved_bytes=22, peak_allocated_bytes=33, peak_reserved_bytes=44
    )
    assert asked == [device] * 4


@pytest.mark.parametrize("backend", ["cuda", "xpu"])
def test_peaks_start_anew_and_kept_memory_goes_back(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    device, done = SimpleNamespace(type=backend), []
    assert list(inspect.signature(getattr(torch, backend).reset_peak_memory_stats).parameters) == ["device"]
    monkeypatch.setattr(getattr(torch, backend), "reset_peak_memory_stats", lambda device=None: done.append(device))
    monkeypatch.setattr(getattr(torch, backend), "empty_cache", lambda: done.append("emptied"))
    reset_peaks(device)
    empty_cache(device)
    assert done == [device, "emptied"]


def test_apples_backend_counts_what_is_held_and_has_no_peaks_to_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    device, done = SimpleNamespace(type="mps"), []
    for name, value in APPLE.items():
        assert not inspect.signature(getattr(torch.mps, name)).parameters, "it takes no device"
        monkeypatch.setattr(torch.mps, name, lambda value=value: value)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: done.append("emptied"))
    assert memory_now(device) == DeviceMemory(allocated_bytes=3, reserved_bytes=5, recommended_max_bytes=7)
    reset_peaks(device)
    empty_cache(device)
    assert done == ["emptied"]


@pytest.mark.parametrize("missing", [*COUNTERS, *APPLE])
def test_a_backend_that_lacks_any_one_counter_has_all_others(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def counting(counters: dict[str, int]) -> DeviceMemory:
        counts = {n: lambda *_, v=v: v for n, v in counters.items() if n != missing}
        monkeypatch.setattr(torch, "abacus", SimpleNamespace(**counts), raising=False)
        return memory_now(SimpleNamespace(type="abacus"))

    told = [*asdict(counting(COUNTERS)).values(), *asdict(counting(APPLE)).values()]
    assert {v for v in told if v is not None} == {v for n, v in (COUNTERS | APPLE).items() if n != missing}


def test_the_cpu_and_a_backend_that_torch_does_not_have_count_nothing() -> None:
    for device in (CPU, SimpleNamespace(type="abacus")):
        assert memory_now(device) == DeviceMemory()
        assert allocation_retries(device) is None
        reset_peaks(device)
        empty_cache(device)


def shared(current: int, peak: int) -> dict[str, int]:
    return {
        f"{of}_bytes.all.{when}": n
        for of in ("allocated", "reserved")
        for when, n in (("current", current), ("peak", peak))
    }


def test_what_a_backend_leaves_to_torchs_accelerator_is_asked_there(monkeypatch: pytest.MonkeyPatch) -> None:
    device, done = SimpleNamespace(type="abacus"), []
    monkeypatch.setattr(torch.accelerator, "memory_stats", lambda of: shared(3, 9))
    monkeypatch.setattr(torch.accelerator, "reset_peak_memory_stats", done.append)
    assert memory_now(device) == DeviceMemory(
        allocated_bytes=3, reserved_bytes=3, peak_allocated_bytes=9, peak_reserved_bytes=9
    )
    reset_peaks(device)
    assert done == [device]
    monkeypatch.setattr(torch.accelerator, "memory_stats", lambda of: shared(0, 0))
    assert memory_now(device).peak_allocated_bytes == 0, "nothing was held, which is known"
    monkeypatch.setattr(torch, "abacus", SimpleNamespace(current_allocated_memory=lambda: 5), raising=False)
    assert memory_now(device).peak_allocated_bytes is None, "less than what is held now is no peak"


def test_a_backend_that_torchs_accelerator_does_not_know_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: object) -> dict[str, int]:
        raise RuntimeError("Allocator for abacus is not a DeviceAllocator.")

    device = SimpleNamespace(type="abacus")
    for name in ("memory_stats", "reset_peak_memory_stats", "get_memory_info"):
        monkeypatch.setattr(torch.accelerator, name, refuse)
    assert memory_now(device) == DeviceMemory()
    assert memory_size(device) is None
    reset_peaks(device)
    monkeypatch.setattr(torch.accelerator, "memory_stats", lambda of: shared(1, 2))
    reset_peaks(device)


def test_memory_is_what_is_recommended_before_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"get_device_properties": lambda device: SimpleNamespace(total_memory=70)}
    for told, size in (({}, 90), (about, 70), ({**about, "recommended_max_memory": lambda: 50}, 50)):
        monkeypatch.setattr(torch, "abacus", SimpleNamespace(**told), raising=False)
        monkeypatch.setattr(torch.accelerator, "get_memory_info", lambda device: (10, 90))
        assert memory_size(SimpleNamespace(type="abacus")) == size


@pytest.mark.parametrize(("stats", "n"), [({"num_alloc_retries": 3}, 3), ({}, None)])
def test_the_allocators_retries_are_read_where_it_counts_them(
    monkeypatch: pytest.MonkeyPatch, stats: dict[str, int], n: int | None
) -> None:
    assert list(inspect.signature(torch.cuda.memory_stats).parameters) == ["device"]
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda device=None: stats)
    assert allocation_retries(SimpleNamespace(type="cuda")) == n


@pytest.mark.gpu
def test_a_device_nearly_full_makes_the_allocator_give_back_and_ask_again() -> None:
    from sweeps.measure.device.device import available_devices, open_device, total_bytes
    from sweeps.measure.monitors.memory import MemoryMonitor

    gpu = open_device(available_devices()[1])
    empty_cache(gpu)
    total = total_bytes(gpu)
    before = allocation_retries(gpu)
    if total is None or before is None:
        pytest.skip("its allocator does not count")
    with MemoryMonitor(gpu) as monitor:
        monitor.begin_rounds()
        for share in (0.6, 0.7):  # the second block fits only once the first, free by then, has gone back
            del_me = torch.empty(int(share * total), dtype=torch.uint8, device=gpu)
            del del_me
        assert allocation_retries(gpu) == before + 1
        assert monitor.retry_columns(2) == {"allocation_retries_per_step": 0.5}
    empty_cache(gpu)


@pytest.mark.gpu
def test_an_accelerators_counters_follow_what_is_allocated() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu = open_device(available_devices()[1])
    empty_cache(gpu)
    before = memory_now(gpu)
    block = torch.ones(2**24, device=gpu)
    held = memory_now(gpu)
    assert held.allocated_bytes - before.allocated_bytes >= 2**26
    del block
    assert memory_now(gpu).allocated_bytes == before.allocated_bytes
    if held.peak_allocated_bytes is not None:
        reset_peaks(gpu)
        assert memory_now(gpu).peak_allocated_bytes < held.peak_allocated_bytes
