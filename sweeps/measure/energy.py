"""Energy of a window, from the machine's own counters; unknown is None, never 0.

A window shorter than ten periods of the counter is None: its first and last period would decide the figure.
zeus is not used: it needs amdsmi, which without its system library makes ``import ray`` fail. On Apple
silicon the package zeus-apple-silicon is read by its documented interface; that was not run on a Mac.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

from sweeps.measure.device import is_apple_gpu, nvml_handle

MIN_PERIODS = 10
POWERCAP = Path("/sys/class/powercap")


class EnergySource(Protocol):
    """A counter of energy.

    Attributes:
        name: Where the figures come from.
        domain: What they cover.
        period_s: Seconds between two updates of the counter.
    """

    name: str
    domain: str
    period_s: float

    def read_j(self) -> float | None:
        """Joules since some fixed moment; None if the counter cannot be read now."""

    def read_w(self) -> float | None:
        """Power now in watts; None if the source has no such figure."""


class NvmlSource:
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

    def read_w(self) -> float | None:
        import pynvml

        try:
            return float(pynvml.nvmlDeviceGetPowerUsage(self._handle)) * 1e-3
        except pynvml.NVMLError:
            return None


class PowercapSource:
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

    def read_w(self) -> float | None:
        return None


class AppleSource:
    """Apple's IOReport through zeus-apple-silicon: a model of the chip's parts, without root.

    IOReport publishes about every 2 s on some chips, so only windows of 20 s and more count.
    """

    name, domain = "zeus-apple-silicon", "soc"
    period_s = 2.0

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor

    @classmethod
    def find(cls) -> AppleSource | None:
        try:
            from zeus_apple_silicon import AppleEnergyMonitor

            return cls(AppleEnergyMonitor())
        except (ImportError, RuntimeError):
            return None

    def read_j(self) -> float | None:
        # get_cumulative_energy's fields are in mJ and None where the chip does not report a part.
        energy = self._monitor.get_cumulative_energy()
        parts = ("cpu_total_mj", "gpu_mj", "dram_mj", "ane_mj", "gpu_sram_mj")
        known = [value for value in (getattr(energy, part, None) for part in parts) if value is not None]
        return float(sum(known)) * 1e-3 if known else None

    def read_w(self) -> float | None:
        return None


class NoSource:
    """Where no counter can be read: every figure is None."""

    name, domain = "", ""
    period_s = float("inf")

    def read_j(self) -> float | None:
        return None

    def read_w(self) -> float | None:
        return None


def open_energy_source(device: torch.device) -> EnergySource:
    """The counter that covers a device; ``NoSource`` if there is none that this process may read."""
    handle = nvml_handle(device)
    if handle is not None:
        source = NvmlSource(handle)
        return source if source.read_j() is not None else NoSource()
    if is_apple_gpu(device) or device.type == "cpu":
        return AppleSource.find() or (PowercapSource.find() if device.type == "cpu" else None) or NoSource()
    return NoSource()


def measure_idle_power(source: EnergySource, seconds: float) -> float | None:
    """Mean watts while nothing is done for at least ten counter periods; None if the source is unknown or too slow."""
    window = max(seconds, MIN_PERIODS * source.period_s)
    if window > 10 * seconds:
        return None
    before, began = source.read_j(), time.monotonic()
    if before is None:
        return None
    time.sleep(window)
    after = source.read_j()
    return None if after is None else (after - before) / (time.monotonic() - began)


class EnergyMonitor:
    """Context manager around a window of work."""

    def __init__(self, source: EnergySource) -> None:
        self._source = source
        self._before: float | None = None
        self._began = 0.0
        self._peak_w: float | None = None

    def __enter__(self) -> EnergyMonitor:
        self._before, self._began = self._source.read_j(), time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def read_j(self) -> float | None:
        """The counter now, in joules; call it at the end of a round to see the round's peak power too."""
        power = self._source.read_w()
        if power is not None:
            self._peak_w = power if self._peak_w is None else max(self._peak_w, power)
        return self._source.read_j()

    def columns(self, n_items: int) -> dict[str, Any]:
        """Columns of the trials table for the window so far.

        Args:
            n_items: Items worked through in the window.
        """
        after, window = self._source.read_j(), time.monotonic() - self._began
        columns: dict[str, Any] = {
            "energy_source": self._source.name or None,
            "energy_domain": self._source.domain or None,
        }
        if self._before is None or after is None or window < MIN_PERIODS * self._source.period_s:
            return columns
        joules = after - self._before
        if joules <= 0 or n_items < 1:
            return columns  # a counter that stood still says nothing
        return {
            **columns,
            "energy_j": joules,
            "energy_window_s": window,
            "energy_per_item_j": joules / n_items,
            "items_per_j": n_items / joules,
            "mean_power_w": joules / window,
            "peak_power_w": self._peak_w,
        }
