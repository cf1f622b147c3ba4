"""NVIDIA's management library, where this machine has it."""

from __future__ import annotations

from typing import Any


def started() -> Any:
    """NVML, started; None on a machine without it."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # NVML has a family of errors of its own, and no library at all on most machines
        return None
    return pynvml


def driver() -> str:
    """The driver's version, or ``unknown``."""
    nvml = started()
    return "unknown" if nvml is None else str(nvml.nvmlSystemGetDriverVersion())


def handle_of(uuid: str) -> Any:
    """NVML's handle of a device by its UUID, as NVML and torch may number devices differently; None without NVML."""
    nvml = started()
    if nvml is None:
        return None
    try:
        return nvml.nvmlDeviceGetHandleByUUID((uuid if uuid.startswith("GPU-") else f"GPU-{uuid}").encode())
    except nvml.NVMLError:  # its figures are then unknown, which is null in the row
        return None
