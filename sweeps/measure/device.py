"""Devices: what there is, what it supports, and everything that is named after one. The only file that names them.

On Apple GPUs (mps) this file follows PyTorch's documented interfaces; it has not been run on a Mac.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import platform
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch

KNOWN_DEVICES = ("cpu", "cuda", "mps", "xpu")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISION_NAMES = ("fp32", "tf32", "bf16", "fp16")

_OUT_OF_MEMORY_TEXTS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
    "cuda_error_out_of_memory", "cublas_status_alloc_failed", "failed to allocate",
)  # fmt: skip
_UNSUPPORTED_TEXTS = (
    "not implemented for", "not currently implemented for", "is not supported on", "not supported for",
    "unsupported dtype", "unsupported data type", "does not support", "no kernel image is available",
    "could not run '", "not available for device", "not compiled with",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DeviceDescription:
    """What a device is.

    Attributes:
        name: ``cpu`` or the accelerator's type.
        device_name: As its driver names it.
        total_bytes: Its memory; None if unknown.
        n_devices: How many there are here.
        driver_version: Driver and runtime; None on the CPU.
        unified_memory: Host and device share one memory.
        precisions: For each precision None if supported, else why not.
    """

    name: str
    device_name: str
    total_bytes: int | None
    n_devices: int
    driver_version: str | None
    unified_memory: bool
    precisions: dict[str, str | None]


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Memory counters in bytes; None where the device has no such counter."""

    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    recommended_max_bytes: int | None = None


def available_devices() -> tuple[str, ...]:
    """The device types of this machine, ``cpu`` first; opens none of them."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ("cpu",) if accelerator is None else ("cpu", accelerator.type)


def n_devices(name: str) -> int:
    """How many devices of a type this machine has."""
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
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def has_unified_memory(device: torch.device) -> bool:
    """Host and device share one memory: the CPU itself, and Apple GPUs."""
    return device.type in {"cpu", "mps"}


def set_threads(n_threads: int) -> None:
    """Let torch use this many CPU threads; Ray leaves it at 1 where a trial asks for no CPU."""
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


def cpu_name() -> str:
    """The processor as the system names it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _device_name(device: torch.device) -> str:
    names: dict[str, Callable[[], str]] = {
        "cpu": cpu_name,
        "cuda": lambda: torch.cuda.get_device_name(device),
        "xpu": lambda: torch.xpu.get_device_name(device),
        "mps": lambda: f"Apple GPU ({cpu_name()})",
    }
    return names.get(device.type, lambda: device.type)()


def total_bytes(device: torch.device) -> int | None:
    """Memory of the device; a unified memory counts whole."""
    if has_unified_memory(device):
        return int(psutil.virtual_memory().total)
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "xpu":
        return int(torch.xpu.get_device_properties(device).total_memory)
    return None


def _nvidia_driver() -> str | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception:  # NVML raises its own family of errors; without it only the driver's version is unknown
        return None


def driver_version(device: torch.device) -> str | None:
    """Driver and runtime of an accelerator; None on the CPU."""
    if device.type == "cuda":
        driver, runtime = _nvidia_driver(), torch.version.cuda or torch.version.hip
        return f"{driver or 'unknown'}, runtime {runtime}"
    if device.type == "mps":
        return f"macOS {platform.mac_ver()[0]}"
    return None


@functools.cache
def _probe(device: torch.device, precision: str) -> str | None:
    """Run a small convolution and matrix product in the precision; None if the device does it."""
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=_DTYPES[precision]):
            image = torch.ones(1, 3, 8, 8, device=device)
            kernel = torch.ones(4, 3, 3, 3, device=device)
            out = torch.nn.functional.conv2d(image, kernel).flatten(1)
            out = out @ torch.ones(out.shape[1], 4, device=device)
            if out.dtype != _DTYPES[precision]:
                return f"{device.type} does not compute in {precision}: autocast left {out.dtype}"
            out.float().sum().item()
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"{device.type} lacks {precision}: {str(error).splitlines()[0][:150]}"
    return None


def unsupported_reason(device: torch.device, precision: str) -> str | None:
    """Why a device cannot compute in a precision, or None if it can; found out by running it.

    Args:
        device: An open device.
        precision: One of fp32, tf32, bf16, fp16.
    """
    if precision == "fp32":
        return None
    if precision == "tf32":
        if device.type != "cuda":
            return f"tf32 needs an NVIDIA GPU; this is {device.type}"
        major, minor = torch.cuda.get_device_capability(device)
        return None if major >= 8 else f"tf32 needs compute capability 8.0; this GPU has {major}.{minor}"
    return _probe(device, precision)


def describe(name: str) -> DeviceDescription:
    """Open a device and say what it is."""
    device = open_device(name)
    return DeviceDescription(
        name=name,
        device_name=_device_name(device),
        total_bytes=total_bytes(device),
        n_devices=n_devices(name),
        driver_version=driver_version(device),
        unified_memory=has_unified_memory(device),
        precisions={precision: unsupported_reason(device, precision) for precision in PRECISION_NAMES},
    )


def reset_device_state(device: torch.device, seed: int) -> None:
    """Make a process that has measured before as good as new: allocator, peaks, compiler, seeds."""
    gc.collect()
    if device.type != "cpu":
        synchronize(device)
        torch.accelerator.empty_cache()
        reset_peaks(device)
    torch._dynamo.reset()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def reset_peaks(device: torch.device) -> None:
    """Start the device's peak counters anew, where it has them."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "xpu":
        torch.xpu.reset_peak_memory_stats(device)


def memory_now(device: torch.device) -> DeviceMemory:
    """The device's memory counters; all None on the CPU, whose memory is the process's."""
    if device.type in {"cuda", "xpu"}:
        module: Any = getattr(torch, device.type)
        return DeviceMemory(
            allocated_bytes=module.memory_allocated(device),
            reserved_bytes=module.memory_reserved(device),
            peak_allocated_bytes=module.max_memory_allocated(device),
            peak_reserved_bytes=module.max_memory_reserved(device),
        )
    if device.type == "mps":
        return DeviceMemory(
            allocated_bytes=torch.mps.current_allocated_memory(),
            reserved_bytes=torch.mps.driver_allocated_memory(),
            recommended_max_bytes=torch.mps.recommended_max_memory(),
        )
    return DeviceMemory()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that host or device memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY_TEXTS)


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception says that an operation or type is not implemented, rather than that something failed."""
    if isinstance(error, NotImplementedError):
        return True
    return isinstance(error, (RuntimeError, TypeError)) and any(t in str(error).lower() for t in _UNSUPPORTED_TEXTS)


def new_event(device: torch.device) -> torch.Event | None:
    """An event that takes the device's own time, or None where the device has none."""
    return None if device.type == "cpu" else torch.Event(device, enable_timing=True)


def nvml_handle(device: torch.device) -> Any:
    """NVML's handle of an NVIDIA device, by its PCI address, which torch's numbering may not follow; else None."""
    if device.type != "cuda" or torch.version.hip:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        uuid = uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"
        return pynvml.nvmlDeviceGetHandleByUUID(uuid.encode())
    except Exception:  # any NVML error means that its figures are unknown, which is null in the row
        return None


def is_apple_gpu(device: torch.device) -> bool:
    """Whether the device is Apple's."""
    return device.type == "mps"
