"""Devices: what there is, what it supports, and everything that is named after one. The only file that names them.

On Apple and Intel GPUs (mps, xpu) this file follows PyTorch's documented interfaces; it has not been run on either.
"""

from __future__ import annotations

import functools
import gc
import platform
import random
import shutil
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import torch

from sweeps.measure.device.host import cpu_name
from sweeps.measure.device.memory_counters import empty_cache, reset_peaks
from sweeps.measure.device.precisions import PRECISION_NAMES, probe_autocast, probe_tf32

KNOWN_DEVICES = ("cpu", "cuda", "mps", "xpu")


def available_devices() -> tuple[str, ...]:
    """The device types of this machine, ``cpu`` first; opens none of them."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ("cpu",) if accelerator is None else ("cpu", accelerator.type)


def n_devices(name: str) -> int:
    """How many devices of a type this machine has; 0 if none."""
    if name not in available_devices():
        return 0
    return 1 if name == "cpu" else torch.accelerator.device_count()


def open_device(name: str) -> torch.device:
    """The torch device of a type.

    Raises:
        ValueError: If this machine has none.
    """
    here = available_devices()
    if name not in here:
        raise ValueError(f"device {name!r} is not on this machine; here: {', '.join(here)}")
    return torch.device("cpu") if name == "cpu" else torch.device(name, torch.accelerator.current_device_index())


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given; nothing to wait for on the CPU."""
    if device.type == "cpu":
        return
    if device.type == "mps":
        torch.mps.synchronize()  # waits for every stream; the generic call waits for the current one
    else:
        torch.accelerator.synchronize(device)


def has_unified_memory(device: torch.device) -> bool:
    """Host and device share one memory: the CPU itself, Apple GPUs, and CUDA devices built into the host's chip."""
    if device.type == "cuda":
        return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
    return device.type in {"cpu", "mps"}


def set_threads(n_threads: int) -> None:
    """Let torch use this many CPU threads; Ray leaves it at 1 where a trial asks for no CPU."""
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


def device_name(device: torch.device) -> str:
    """The device as its driver names it."""
    names: dict[str, Callable[[], str]] = {
        "cpu": cpu_name,
        "cuda": lambda: torch.cuda.get_device_name(device),
        "xpu": lambda: torch.xpu.get_device_name(device),
        "mps": lambda: f"Apple GPU ({cpu_name()})",
    }
    return names.get(device.type, lambda: device.type)()


def total_bytes(device: torch.device) -> int | None:
    """Memory of the device; a unified memory counts whole. None if unknown."""
    if device.type in {"cpu", "mps"}:
        return int(psutil.virtual_memory().total)
    if device.type in {"cuda", "xpu"}:
        return int(getattr(torch, device.type).get_device_properties(device).total_memory)
    return None


def _nvml() -> Any:
    """NVML, started; None on a machine without it."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # NVML has a family of errors of its own, and no library at all on most machines
        return None
    return pynvml


def driver_version(device: torch.device) -> str | None:
    """Driver and runtime of an accelerator; None on the CPU."""
    if device.type == "cuda":
        nvml = None if torch.version.hip else _nvml()
        driver = "unknown" if nvml is None else str(nvml.nvmlSystemGetDriverVersion())
        return f"{driver}, runtime {torch.version.cuda or torch.version.hip}"
    if device.type == "xpu":
        return str(getattr(torch.xpu.get_device_properties(device), "driver_version", "unknown"))
    return f"macOS {platform.mac_ver()[0]}" if device.type == "mps" else None


@functools.cache
def _unsupported_reason(device: torch.device, precision: str) -> str | None:
    if precision != "tf32":
        return probe_autocast(device, precision)
    if device.type != "cuda" or torch.version.hip:
        return probe_tf32(device)
    major, minor = torch.cuda.get_device_capability(device)
    return None if major >= 8 else f"tf32 needs compute capability 8.0; this GPU has {major}.{minor}"


def unsupported_reason(device: torch.device | str, precision: str) -> str | None:
    """Why a device cannot compute in a precision, or None if it can; found out by running it, once per process.

    Args:
        device: An open device, or the name of one.
        precision: One of fp32, tf32, bf16, fp16.

    Raises:
        ValueError: For a device that is not here or an unknown precision.
    """
    if precision not in PRECISION_NAMES:
        raise ValueError(f"a precision is one of {', '.join(PRECISION_NAMES)}, got {precision=}")
    device = open_device(device) if isinstance(device, str) else device
    return None if precision == "fp32" else _unsupported_reason(device, precision)


def compile_note(device: torch.device) -> str | None:
    """What to know of torch.compile here before asking for it; None if nothing. Found without compiling anything."""
    if device.type == "mps":
        return "torch.compile for Apple GPUs is a prototype (pytorch issue 150121)"
    if device.type == "cpu":
        found = any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl"))
        return None if found else "torch.compile needs a C++ compiler, and none was found"
    from torch.utils._triton import has_triton

    return None if has_triton() else "torch.compile needs Triton, which is not installed or does not know this device"


def _has_compiled() -> bool:
    """Whether torch.compile has worked in this process since its last reset; if that cannot be told, yes.

    Others import its modules too, and a reset in a process that never compiled imports the rest: 5 s on a GPU.
    """
    if "torch._dynamo" not in sys.modules:
        return False
    return getattr(torch._dynamo.convert_frame, "FRAME_COUNTER", 1) > 0


def reset_device_state(device: torch.device, seed: int) -> None:
    """Make a process that has measured before as good as new: allocator, peaks, compiler, seeds."""
    gc.collect()
    if device.type != "cpu":
        synchronize(device)
        empty_cache(device)
        reset_peaks(device)
    if _has_compiled():
        torch._dynamo.reset()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@functools.cache
def _times_events(device_type: str) -> bool:
    """Whether a device tells the time between two events; asked once, as a backend may have events without it."""
    start, end = (torch.Event(device_type, enable_timing=True) for _ in range(2))
    try:
        start.record()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) >= 0
    except RuntimeError:
        return False


def new_event(device: torch.device) -> torch.Event | None:
    """An event that takes the device's own time, or None where the device has none that can be trusted.

    Apple GPUs count as having none: their events have carried the time of a callback on the host, and
    ``elapsed_time`` could wait for ever after ``synchronize`` (pytorch issue 162872, pull request 196395).
    """
    return torch.Event(device, enable_timing=True) if device.type != "mps" and _times_events(device.type) else None


def nvml_handle(device: torch.device) -> Any:
    """NVML's handle of an NVIDIA device, by its UUID, as NVML and torch may number devices differently; else None."""
    if device.type != "cuda" or torch.version.hip:
        return None
    nvml = _nvml()
    if nvml is None:
        return None
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    try:
        return nvml.nvmlDeviceGetHandleByUUID((uuid if uuid.startswith("GPU-") else f"GPU-{uuid}").encode())
    except nvml.NVMLError:  # its figures are then unknown, which is null in the row
        return None


def fallback_environment(name: str, *, allow: bool) -> dict[str, str]:
    """Environment variables, read when torch is imported, that let operations which a device lacks run on the CPU.

    Args:
        name: A device's name. Only Apple GPUs have such a fallback; for others there is nothing to set.
        allow: Let them fall back with a warning; else they raise (strict mode).
    """
    return {"PYTORCH_ENABLE_MPS_FALLBACK": "1" if allow else "0"} if name == "mps" else {}


def is_apple_gpu(device: torch.device) -> bool:
    """Whether the device is Apple's."""
    return device.type == "mps"
