"""Counters of energy: NVIDIA's through NVML, Linux's powercap files, Apple's through zeus-apple-silicon.

zeus itself is not used: it needs amdsmi, which without its system library makes ``import ray`` fail. The Apple source
follows the package's documented interface; it has not been run on a Mac.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from sweeps.measure.device import nvml
from sweeps.measure.device.device import is_apple_gpu, nvml_handle

POWERCAP = Path("/sys/class/powercap")
APPLE_SLOWEST_S = 2.5
"""Longer than IOReport was ever seen to wait between two publications: 2.03 to 2.23 s on an M5 Max (all-smi #412)."""
POLLED_S, POLL_S, MIN_CHANGES = 1.0, 0.002, 4


class EnergySource:
    """A counter of energy; this one cannot be read, so every figure is None.

    Attributes:
        name: Where the figures come from.
        domain: What they cover.
        period_s: Seconds between two updates of the counter.
    """

    name: str = ""
    domain: str = ""
    period_s: float = float("inf")

    def read_j(self) -> float | None:
        """Joules since some fixed moment; None if the counter cannot be read now."""
        return None


class NvmlSource(EnergySource):
    """NVIDIA's total energy counter: the whole board, since the driver was loaded (Volta and later)."""

    name, domain = "nvml", "gpu board"
    period_s = 0.1
    """The counter follows the power sensor, which updates every 20 to 100 ms; 100 is assumed."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def read_j(self) -> float | None:
        import pynvml

        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) * 1e-3
        except pynvml.NVMLError:
            return None


class SummedSource(EnergySource):
    """Several counters of a kind as one: the boards that compute a cell together."""

    def __init__(self, sources: Sequence[EnergySource]) -> None:
        self._sources = sources
        self.name, self.period_s = sources[0].name, sources[0].period_s
        self.domain = f"{len(sources)} {sources[0].domain}s"

    def read_j(self) -> float | None:
        found = [source.read_j() for source in self._sources]
        known = [joules for joules in found if joules is not None]
        return sum(known) if len(known) == len(found) else None


class PowercapSource(EnergySource):
    """Linux powercap (RAPL): the packages of the processor. Reading needs root on most systems since 2020."""

    name, domain = "powercap", "cpu package"
    period_s = 0.001

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones
        self._ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        self._last = [int((zone / "energy_uj").read_text()) for zone in zones]
        self._total_uj = 0

    @classmethod
    def find(cls, root: Path = POWERCAP) -> PowercapSource | None:
        """The packages under ``root``; None where there are none or they may not be read."""
        zones = []
        for zone in sorted(root.glob("intel-rapl:*")):
            with contextlib.suppress(OSError, ValueError):
                # A second colon is a part of a package, and psys holds the packages: either would count twice.
                if zone.name.count(":") == 1 and (zone / "name").read_text().startswith("package"):
                    int((zone / "energy_uj").read_text())
                    zones.append(zone)
        return cls(zones) if zones else None

    def read_j(self) -> float | None:
        try:
            now = [int((zone / "energy_uj").read_text()) for zone in self._zones]
        except (OSError, ValueError):
            return None
        for before, after, size in zip(self._last, now, self._ranges, strict=True):
            self._total_uj += after - before if after >= before else after + size - before  # the counter wraps around
        self._last = now
        return self._total_uj * 1e-6


def observed_period_s(read_j: Callable[[], float | None]) -> float | None:
    """The longest time between two changes of a counter that is polled for a second; None from under four changes."""
    changes: list[float] = []
    last, end = read_j(), time.monotonic() + POLLED_S
    while (now := time.monotonic()) < end:
        value = read_j()
        if value != last:
            last = value
            changes.append(now)
        time.sleep(POLL_S)
    if len(changes) < MIN_CHANGES:
        return None
    return max(later - earlier for earlier, later in itertools.pairwise(changes))


class AppleSource(EnergySource):
    """Apple's IOReport through zeus-apple-silicon: a model of the chip's parts, without root.

    Chips publish at their own pace, some within milliseconds, some about every 2 s, so it is observed at the start;
    where too few changes are seen the slowest pace is assumed, and only windows of 25 s and more count.

    Args:
        monitor: An ``AppleEnergyMonitor``.
    """

    name, domain = "zeus-apple-silicon", "soc"
    PARTS = ("cpu_total_mj", "gpu_mj", "dram_mj", "ane_mj", "gpu_sram_mj")

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor
        self.period_s = observed_period_s(self.read_j) or APPLE_SLOWEST_S

    def read_j(self) -> float | None:
        energy = self._monitor.get_cumulative_energy()
        # A part that the chip does not report is None.
        known = [value for value in (getattr(energy, part, None) for part in self.PARTS) if value is not None]
        return float(sum(known)) * 1e-3 if known else None


@functools.cache
def apple_source() -> AppleSource | None:
    """Apple's counter, opened once per process; None off Apple silicon or without the package."""
    try:
        from zeus_apple_silicon import AppleEnergyMonitor

        source = AppleSource(AppleEnergyMonitor())
    except (ImportError, RuntimeError):
        return None
    return source if source.read_j() is not None else None


def open_energy_source(device: torch.device, others: Sequence[str | None] = ()) -> EnergySource:
    """The counter that covers a device; one that knows nothing if there is none that this process may read.

    Args:
        device: An open device.
        others: UUIDs of further boards that it is to cover; where one counter covers all devices they are None.
    """
    handle = nvml_handle(device)
    if handle is not None:
        handles = [handle, *(nvml.handle_of(str(uuid)) for uuid in others)]
        sources = [NvmlSource(each) for each in handles]
        source: EnergySource = sources[0] if len(sources) == 1 else SummedSource(sources)
        return source if source.read_j() is not None else EnergySource()
    if is_apple_gpu(device):
        return apple_source() or EnergySource()
    return (apple_source() or PowercapSource.find() or EnergySource()) if device.type == "cpu" else EnergySource()
