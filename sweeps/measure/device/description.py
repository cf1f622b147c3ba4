"""What a device is, all at once: for ``accelsweep devices`` and the self-test."""

from __future__ import annotations

from dataclasses import dataclass

from sweeps.measure.device.device import (
    compile_note,
    device_name,
    driver_version,
    has_unified_memory,
    n_devices,
    open_device,
    total_bytes,
    unsupported_reason,
)
from workloads.precision import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class DeviceDescription:
    """What a device is.

    Attributes:
        name: ``cpu`` or the accelerator's type.
        device_name: As its driver names it.
        total_bytes: Its memory; None if unknown.
        n_devices: How many there are here.
        driver_version: Driver and runtime; None on the CPU.
        unified_memory: Host and device share one memory; None if unknown.
        precisions: For each precision None if supported, else why not.
        compile_note: Why torch.compile cannot work here, or how mature it is; None if nothing is to be said.
    """

    name: str
    device_name: str
    total_bytes: int | None
    n_devices: int
    driver_version: str | None
    unified_memory: bool | None
    precisions: dict[str, str | None]
    compile_note: str | None = None


def describe(name: str) -> DeviceDescription:
    """Open a device and say what it is.

    Raises:
        ValueError: If this machine has none of that name.
    """
    device = open_device(name)
    return DeviceDescription(
        name=name,
        device_name=device_name(device),
        total_bytes=total_bytes(device),
        n_devices=n_devices(name),
        driver_version=driver_version(device),
        unified_memory=has_unified_memory(device),
        precisions={precision: unsupported_reason(device, precision) for precision in PRECISIONS},
        compile_note=compile_note(device),
    )
