"""Devices: what there is, what it supports, and everything that is named after one. The only file that names them.

On Apple and Intel GPUs (mps, xpu) this file follows PyTorch's documented interfaces; it has not been run on either.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from sweeps.measure.device import nvml
from sweeps.measure.device.host import cpu_name, macos_release
from sweeps.measure.device.memory_counters import backend_of, memory_size
from sweeps.measure.device.precisions import probe
from sweeps.measure.device.quota import most_host_bytes
from workloads.precision import PRECISIONS
from workloads.runtime.memory import Memory
from workloads.runtime.torch_private import lacks_triton


def _property(device: torch.device, name: str, otherwise: Any = None) -> Any:
    """One of the properties that a device's backend tells of it, where it tells any."""
    ask = getattr(backend_of(device), "get_device_properties", None)
    return otherwise if ask is None else getattr(ask(device), name, otherwise)


def _backend_name(device: torch.device) -> str:
    ask = getattr(backend_of(device), "get_device_name", None)
    return device.type if ask is None else str(ask(device))


def _is_integrated(device: torch.device) -> bool | None:
    told = _property(device, "is_integrated")
    return None if told is None else bool(told)


def _triton_note(_: torch.device) -> str | None:
    lacks = "torch.compile needs Triton, which is not installed or does not know this device"
    return lacks if lacks_triton() else None


def _compiler_note(_: torch.device) -> str | None:
    found = any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl"))
    return None if found else "torch.compile needs a C++ compiler, and none was found"


def _nvidia_driver(device: torch.device) -> str:
    driver = "unknown" if torch.version.hip else nvml.driver()
    return f"{driver}, runtime {torch.version.cuda or torch.version.hip}"


def _nvidia_handle(device: torch.device) -> Any:
    return None if torch.version.hip else nvml.handle_of(str(_property(device, "uuid")))


def _apple_name(_: torch.device) -> str:
    """The chip and its GPU's cores, as torch asks Metal; both functions are younger than what pyproject allows."""
    if not hasattr(torch.backends.mps, "get_name") or not hasattr(torch.backends.mps, "get_core_count"):
        return f"{cpu_name()} GPU"
    return f"{torch.backends.mps.get_name()} ({torch.backends.mps.get_core_count()} GPU cores)"


def _host_bytes(_: torch.device) -> int:
    return int(psutil.virtual_memory().total)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What one kind of device answers to an open device of it; the defaults are what any backend of PyTorch may tell.

    Most stand behind the functions below of like names.

    Attributes:
        has_events: It has events whose times can be trusted.
        fallback: The environment variable that lets operations it lacks run on the CPU; None if there is none.
    """

    name: Callable[[torch.device], str] = _backend_name
    total_bytes: Callable[[torch.device], int | None] = memory_size
    driver: Callable[[torch.device], str | None] = lambda device: _property(device, "driver_version")
    is_unified: Callable[[torch.device], bool | None] = _is_integrated
    synchronize: Callable[[torch.device], None] = torch.accelerator.synchronize
    compile_note: Callable[[torch.device], str | None] = _triton_note
    nvml_handle: Callable[[torch.device], Any] = lambda _: None
    has_events: bool = True
    fallback: str | None = None


KINDS: dict[str, Kind] = {
    "cpu": Kind(
        name=lambda _: cpu_name(), total_bytes=_host_bytes, driver=lambda _: None, is_unified=lambda _: True,
        synchronize=lambda _: None, compile_note=_compiler_note, has_events=False,
    ),
    "cuda": Kind(driver=_nvidia_driver, nvml_handle=_nvidia_handle),
    # Apple's events have carried the time of a callback on the host, and ``elapsed_time`` could wait for ever after
    # ``synchronize`` (pytorch issue 162872, pull request 196395).
    "mps": Kind(
        name=_apple_name, is_unified=lambda _: True, driver=lambda _: macos_release(), has_events=False,
        fallback="PYTORCH_ENABLE_MPS_FALLBACK",
        synchronize=lambda _: torch.mps.synchronize(),  # of every stream; the generic call waits for the current one
        compile_note=lambda _: None,  # Inductor writes Metal itself; whether it works is tried, not said
    ),
    "xpu": Kind(driver=lambda device: str(_property(device, "driver_version", "unknown"))),
}  # fmt: skip
"""Every kind of device that answers otherwise than PyTorch's backends in general do."""
_ANY = Kind()


def _kind(device: torch.device) -> Kind:
    return KINDS.get(device.type, _ANY)


def available_devices() -> tuple[str, ...]:
    """The device types of this machine, ``cpu`` first; opens none of them."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ("cpu",) if accelerator is None else ("cpu", accelerator.type)


def n_devices(name: str) -> int:
    """How many devices of a type this machine has; 0 if none."""
    n_here = 1 if name == "cpu" else torch.accelerator.device_count()
    return n_here if name in available_devices() else 0


def open_device(name: str, rank: int = 0) -> torch.device:
    """The torch device of a type; of several that a process sees, and that others use as well, the one of its rank.

    Raises:
        ValueError: If this machine has none.
    """
    here = available_devices()
    if name not in here:
        raise ValueError(f"device {name!r} is not on this machine; here: {', '.join(here)}")
    if name != "cpu" and 0 < rank < torch.accelerator.device_count():
        torch.accelerator.set_device_index(rank)
    return torch.device("cpu") if name == "cpu" else torch.device(name, torch.accelerator.current_device_index())


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given; nothing to wait for on the CPU."""
    _kind(device).synchronize(device)


def has_unified_memory(device: torch.device) -> bool | None:
    """Whether host and device share one memory, as devices built into the host's chip do; None if unknown."""
    return _kind(device).is_unified(device)


def set_threads(n_threads: int) -> None:
    """Let torch use this many CPU threads; Ray leaves it at 1 where a trial asks for no CPU."""
    if torch.get_num_threads() != n_threads:
        torch.set_num_threads(n_threads)


def device_name(device: torch.device) -> str:
    """The device as its driver names it."""
    return _kind(device).name(device)


def total_bytes(device: torch.device) -> int | None:
    """Memory of the device; of one that shares the host's, what the system recommends as the most. None if unknown."""
    return _kind(device).total_bytes(device)


def memory_of(device: torch.device) -> Memory:
    """The most that host and device could ever hold for a cell."""
    is_shared = has_unified_memory(device) is True
    own = None if device.type == "cpu" or is_shared else total_bytes(device)
    return Memory(host_bytes=most_host_bytes(), device_bytes=own, is_shared=is_shared)


def driver_version(device: torch.device) -> str | None:
    """Driver and runtime of an accelerator; None on the CPU."""
    return _kind(device).driver(device)


@functools.cache
def _unsupported_reason(device: torch.device, precision: str) -> str | None:
    return probe(device, precision)


def unsupported_reason(device: torch.device | str, precision: str) -> str | None:
    """Why a device cannot compute in a precision, or None if it can; found out by running it, once per process.

    Args:
        device: An open device, or the name of one.
        precision: One of ``workloads.precision.PRECISIONS``.

    Raises:
        ValueError: For a device that is not here or an unknown precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"the precision must be one of {', '.join(PRECISIONS)}, got {precision=}")
    return _unsupported_reason(open_device(device) if isinstance(device, str) else device, precision)


def compile_note(device: torch.device) -> str | None:
    """What to know of torch.compile here before asking for it; None if nothing. Found without compiling anything."""
    return _kind(device).compile_note(device)


@functools.cache
def _times_events(device_type: str) -> bool:
    """Whether a device tells the time between two events; asked once, as a backend may have events without it."""
    try:
        start, end = (torch.Event(device_type, enable_timing=True) for _ in range(2))
        start.record()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) >= 0
    except RuntimeError:
        return False


def new_event(device: torch.device) -> torch.Event | None:
    """An event that takes the device's own time, or None where the device has none that can be trusted."""
    return torch.Event(device, enable_timing=True) if _kind(device).has_events and _times_events(device.type) else None


def device_uuid(device: torch.device) -> str | None:
    """By what its driver calls a device, if it has NVML; None for any other."""
    return str(_property(device, "uuid")) if nvml_handle(device) is not None else None


def nvml_handle(device: torch.device) -> Any:
    """NVML's handle of an NVIDIA device; None for any other."""
    return _kind(device).nvml_handle(device)


def fallback_environment(name: str, *, allow: bool) -> dict[str, str]:
    """Environment variables, read when torch is imported, that let operations which a device lacks run on the CPU.

    Args:
        name: A device's name; for most there is nothing to set.
        allow: Let them fall back with a warning; else they raise (strict mode).
    """
    variable = KINDS.get(name, _ANY).fallback
    return {} if variable is None else {variable: "1" if allow else "0"}


def is_apple_gpu(device: torch.device) -> bool:
    """Whether the device is Apple's."""
    return device.type == "mps"
