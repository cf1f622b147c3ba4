"""Counters are read in the right units and domains: powercap's from a real folder tree of the kernel's layout, NVML's
and Apple's by stand-ins of their documented interfaces."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
import torch

from sweeps.measure.monitors import energy_sources
from sweeps.measure.monitors.energy_sources import (
    APPLE_SLOWEST_S,
    EnergySource,
    NvmlSource,
    PowercapSource,
    apple_source,
    observed_period_s,
    open_energy_source,
)
from tests.sweeps.measure.conftest import AppleChip, AppleEnergyMetrics, HandTime, OneGpu

CPU = torch.device("cpu")
APPLE = SimpleNamespace(type="mps")
RANGE_UJ = 262_143_328_850
"""What an Intel package says it counts to."""


class Zones:
    """The powercap folders of a machine with two packages, as Documentation/power/powercap describes them."""

    def __init__(self, root: Path) -> None:
        self.root = root / "class" / "powercap"
        self._devices = root / "devices" / "virtual" / "powercap"
        self.root.mkdir(parents=True)
        self._control("intel-rapl")
        self.add("intel-rapl:0", "package-0", 1_000_000)
        self.add("intel-rapl:0:0", "core", 700_000, parent="intel-rapl:0")
        self.add("intel-rapl:0:1", "dram", 900_000, parent="intel-rapl:0")
        self.add("intel-rapl:1", "package-1", 5_000_000)
        self.add("intel-rapl:2", "psys", 8_000_000)
        self._control("intel-rapl-mmio")
        self.add("intel-rapl-mmio:0", "package-0", 1_000_000, control="intel-rapl-mmio")

    def _control(self, name: str) -> None:
        folder = self._devices / name
        folder.mkdir(parents=True)
        (folder / "enabled").write_text("1\n")
        (self.root / name).symlink_to(folder)

    def add(self, zone: str, name: str, energy_uj: int, *, parent: str = "", control: str = "intel-rapl") -> None:
        folder = self._devices / control / parent / zone
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text(f"{energy_uj}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        (folder / "enabled").write_text("1\n")
        (self.root / zone).symlink_to(folder)

    def file(self, zone: str) -> Path:
        return self.root / zone / "energy_uj"

    def set(self, **energies_uj: int) -> None:
        for package, energy in energies_uj.items():
            self.file(f"intel-rapl:{package.removeprefix('package')}").write_text(f"{energy}\n")


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    return Zones(tmp_path)


def powercap(zones: Zones) -> PowercapSource:
    source = PowercapSource.find(zones.root)
    assert source is not None
    return source


def test_powercap_adds_up_the_packages_and_counts_no_part_twice(zones: Zones) -> None:
    source = powercap(zones)
    before = source.read_j()
    zones.set(package0=3_000_000, package1=5_500_000)
    zones.file("intel-rapl:0:0").write_text("2000000\n")
    zones.file("intel-rapl:2").write_text("99000000\n")
    zones.file("intel-rapl-mmio:0").write_text("3000000\n")
    assert before is not None
    assert source.read_j() == pytest.approx(before + 2.0 + 0.5)
    assert (source.name, source.domain) == ("powercap", "cpu package")


def test_a_powercap_counter_that_wraps_around_goes_on_counting(zones: Zones) -> None:
    zones.set(package0=RANGE_UJ - 1_000_000)
    source = powercap(zones)
    before = source.read_j()
    assert before is not None
    zones.set(package0=2_000_000)
    assert source.read_j() == pytest.approx(before + 3.0)
    zones.set(package0=2_500_000)
    assert source.read_j() == pytest.approx(before + 3.5), "once around, and not again"


def test_a_machine_without_packages_has_no_powercap(tmp_path: Path, zones: Zones) -> None:
    assert PowercapSource.find(tmp_path / "nowhere") is None
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        (zones.root / zone).unlink()
    assert PowercapSource.find(zones.root) is None, "psys alone is no package"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_counters_that_only_root_may_read_are_no_source(zones: Zones) -> None:
    for zone in ("intel-rapl:0", "intel-rapl:1"):
        zones.file(zone).chmod(0o000)
    assert PowercapSource.find(zones.root) is None


def test_a_package_that_cannot_be_read_is_left_out_and_one_that_fails_later_makes_the_reading_unknown(
    zones: Zones,
) -> None:
    zones.file("intel-rapl:0").unlink()
    zones.file("intel-rapl:0").mkdir()  # reading it fails as it does without permission, for root as well
    source = powercap(zones)
    before = source.read_j()
    assert before is not None
    zones.set(package1=6_000_000)
    assert source.read_j() == pytest.approx(before + 1.0)
    zones.file("intel-rapl:1").unlink()
    assert source.read_j() is None
    zones.set(package1=6_500_000)
    assert source.read_j() == pytest.approx(before + 1.5), "what passed meanwhile is not lost"


def test_the_stand_in_for_nvml_has_the_signatures_of_the_real_bindings() -> None:
    # Read from the source of the package that is installed, not from the stand-in that a fixture may have put there.
    for name in OneGpu().functions():
        real = inspect.signature(getattr(pynvml, name))
        assert list(real.parameters) == list(inspect.signature(getattr(OneGpu(), name)).parameters), name


def test_nvml_is_read_in_joules_and_watts_for_the_board_with_the_devices_uuid(gpu: OneGpu) -> None:
    source = open_energy_source(gpu.device)
    assert isinstance(source, NvmlSource)
    assert gpu.opened_by == [f"GPU-{gpu.uuid}".encode()]
    assert source.read_j() == pytest.approx(5000.0)
    assert (source.name, source.domain) == ("nvml", "gpu board")


@pytest.mark.parametrize("missing", ["nvmlInit", "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetTotalEnergyConsumption"])
def test_a_gpu_without_the_counter_has_no_source(gpu: OneGpu, missing: str) -> None:
    gpu.lacks.add(missing)
    source = open_energy_source(gpu.device)
    assert type(source) is EnergySource
    assert source.read_j() is None


def test_nvml_that_stops_answering_makes_the_figures_unknown(gpu: OneGpu) -> None:
    source = open_energy_source(gpu.device)
    gpu.lacks |= {"nvmlDeviceGetTotalEnergyConsumption"}
    assert source.read_j() is None


@pytest.fixture
def hand_time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    clock = HandTime()
    monkeypatch.setattr(energy_sources, "time", clock)
    return clock


def publishing_every(clock: HandTime, seconds: float):
    """A counter of 10 W that shows what it counted only once in so many seconds."""
    return lambda: 10.0 * int(clock.now_s / seconds) * seconds


@pytest.mark.parametrize("period_s", [0.01, 0.1, 0.2])
def test_the_pace_of_a_counter_is_observed(hand_time: HandTime, period_s: float) -> None:
    seen = observed_period_s(publishing_every(hand_time, period_s))
    assert seen == pytest.approx(period_s, abs=2.1 * energy_sources.POLL_S)


@pytest.mark.parametrize("period_s", [0.4, 2.1, 1e9])
def test_a_counter_that_changes_too_rarely_to_tell_has_no_pace(hand_time: HandTime, period_s: float) -> None:
    assert observed_period_s(publishing_every(hand_time, period_s)) is None


def test_an_uneven_pace_counts_as_its_slowest(hand_time: HandTime) -> None:
    moments = [100.1, 100.11, 100.12, 100.5, 100.51, 100.52]
    seen = observed_period_s(lambda: float(sum(hand_time.now_s >= moment for moment in moments)))
    assert seen == pytest.approx(0.38, abs=0.005)


def test_apples_parts_are_added_up_and_those_unknown_left_out(apple_chip: AppleChip, hand_time: HandTime) -> None:
    source = open_energy_source(APPLE)
    assert (source.name, source.domain) == ("zeus-apple-silicon", "soc")
    assert source.read_j() == pytest.approx(3.0)
    apple_chip.metrics = AppleEnergyMetrics(
        cpu_total_mj=1500, performance_cores_mj=[700, 700], performance_cluster_mj=[1450], gpu_mj=2500, dram_mj=400,
        ane_mj=None, gpu_sram_mj=100,
    )  # fmt: skip
    assert source.read_j() == pytest.approx(4.5), "cores are part of the CPU's total"
    assert open_energy_source(APPLE) is source, "opened once per process"


def test_a_mac_whose_counters_move_quickly_needs_short_windows_only(apple_chip: AppleChip, hand_time: HandTime) -> None:
    counter = publishing_every(hand_time, 0.05)
    apple_chip.next_metrics = lambda: AppleEnergyMetrics(cpu_total_mj=int(1e3 * counter()))
    assert open_energy_source(CPU).period_s == pytest.approx(0.05, abs=0.005)


def test_a_mac_whose_counters_stand_still_is_taken_for_the_slowest(apple_chip: AppleChip, hand_time: HandTime) -> None:
    assert open_energy_source(APPLE).period_s == APPLE_SLOWEST_S


@pytest.mark.parametrize("fault", ["no counters", "no subscription", "no package"])
def test_a_mac_that_tells_nothing_has_no_source(
    apple_chip: AppleChip, hand_time: HandTime, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "no counters":
        apple_chip.metrics = AppleEnergyMetrics()
    elif fault == "no subscription":
        apple_chip.works = False
    else:
        monkeypatch.setitem(sys.modules, "zeus_apple_silicon", None)
    assert apple_source() is None
    assert type(open_energy_source(APPLE)) is EnergySource


def test_an_accelerator_that_is_neither_has_no_source(apple_chip: AppleChip) -> None:
    assert type(open_energy_source(SimpleNamespace(type="xpu"))) is EnergySource, "the SoC's counters do not cover it"


def test_this_machines_cpu_has_a_counter_that_can_be_read_or_none() -> None:
    source = open_energy_source(CPU)
    assert (source.read_j() is None) == (type(source) is EnergySource)
    assert (source.name == "") == (type(source) is EnergySource)
