"""Stand-ins for what is not on every machine, each with exactly the interface that its maker documents."""

# ruff: noqa: N802, N803 (the names are NVML's own)
from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pynvml
import pytest
import torch


class OneGpu:
    """NVML with one GPU: the functions of nvidia-ml-py that are used, by its names and parameters, with its errors.

    ``lacks`` holds names of functions that this GPU's driver answers with "not supported".
    """

    device = SimpleNamespace(type="cuda")
    """Stands in for the torch device, which only a machine with such a GPU can open."""
    uuid = "8a3b1c2d-0000-1111-2222-333344445555"

    def __init__(self) -> None:
        self.energy_mj, self.power_mw = 5_000_000, 250_000
        self.reasons, self.temperature_c, self.sm_clock_mhz = 0, 40, 1980
        self.held_back_ns: dict[int, int] = {}
        self.lacks: set[str] = set()
        self.opened_by: list[bytes] = []

    def _check(self, name: str) -> None:
        if name in self.lacks:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def nvmlInit(self) -> None:
        self._check("nvmlInit")

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> str:
        self._check("nvmlDeviceGetHandleByUUID")
        self.opened_by.append(uuid)
        return "the handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == "the handle"
        self._check("nvmlDeviceGetTotalEnergyConsumption")
        return self.energy_mj

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        self._check("nvmlDeviceGetPowerUsage")
        return self.power_mw

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        self._check("nvmlDeviceGetCurrentClocksEventReasons")
        return self.reasons

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        self._check("nvmlDeviceGetTemperature")
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return self.temperature_c

    def nvmlDeviceGetClockInfo(self, handle: str, type: int) -> int:
        self._check("nvmlDeviceGetClockInfo")
        return {pynvml.NVML_CLOCK_SM: self.sm_clock_mhz, pynvml.NVML_CLOCK_MEM: 2619}[type]

    def nvmlDeviceGetViolationStatus(self, device: str, perfPolicyType: int) -> SimpleNamespace:
        self._check("nvmlDeviceGetViolationStatus")
        return SimpleNamespace(referenceTime=0, violationTime=self.held_back_ns.get(perfPolicyType, 0))

    def functions(self) -> list[str]:
        return [name for name in dir(self) if name.startswith("nvml")]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> OneGpu:
    """A machine with one NVIDIA GPU, as far as NVML shows it."""
    made = OneGpu()
    for name in made.functions():
        monkeypatch.setattr(pynvml, name, getattr(made, name))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=made.uuid))
    monkeypatch.setattr(torch.version, "hip", None)
    return made


class AppleEnergyMetrics:
    """zeus-apple-silicon's record: every field in mJ, None where the chip does not report it (its README, 1.1.0)."""

    def __init__(self, **parts: int | list[int] | None) -> None:
        fields = (
            "cpu_total_mj", "efficiency_cores_mj", "performance_cores_mj", "efficiency_cluster_mj",
            "performance_cluster_mj", "efficiency_core_manager_mj", "performance_core_manager_mj", "dram_mj", "gpu_mj",
            "gpu_sram_mj", "ane_mj",
        )  # fmt: skip
        assert set(parts) <= set(fields)
        for name in fields:
            setattr(self, name, parts.get(name))


class AppleChip:
    """A chip whose counters can be set, and the module ``zeus_apple_silicon`` that reads them."""

    def __init__(self) -> None:
        self.metrics = AppleEnergyMetrics(cpu_total_mj=1000, gpu_mj=2000)
        self.next_metrics = lambda: self.metrics
        self.works = True
        chip = self

        class AppleEnergyMonitor:
            def __init__(self) -> None:
                if not chip.works:
                    raise RuntimeError("Failed to create IOReport subscription.")

            def get_cumulative_energy(self) -> AppleEnergyMetrics:
                return chip.next_metrics()

            def begin_window(self, key: str) -> None: ...

            def end_window(self, key: str) -> AppleEnergyMetrics:
                return chip.next_metrics()

        self.module = ModuleType("zeus_apple_silicon")
        self.module.AppleEnergyMonitor = AppleEnergyMonitor  # type: ignore[attr-defined]
        self.module.AppleEnergyMetrics = AppleEnergyMetrics  # type: ignore[attr-defined]


@pytest.fixture
def apple_chip(monkeypatch: pytest.MonkeyPatch):
    """A Mac, as far as the package of its energy counters shows it."""
    from sweeps.measure.monitors.energy_sources import apple_source

    chip = AppleChip()
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", chip.module)
    apple_source.cache_clear()
    yield chip
    apple_source.cache_clear()


class HandTime:
    """Stands in for the module time: nothing passes but what sleeps and is passed by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
