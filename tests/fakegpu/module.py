"""``torch.fakegpu``: the functions of ``torch.mps``, or of a discrete device's module, and knobs for tests."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import torch


class _Device:
    """``torch.fakegpu.device``, which torch.load asks for: there is one device."""

    def __init__(self, device: Any) -> None: ...

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *_: object) -> None: ...


def module_of(c: ModuleType) -> ModuleType:
    """The module of the device whose extension is given."""
    m = ModuleType("torch.fakegpu")
    vars(m).update(_of_any_backend(c), **(_as_discrete(c) if c.is_discrete() else _as_apple(c)), **_knobs(c))
    return m


def _of_any_backend(c: ModuleType) -> dict[str, Any]:
    def seed(number: int) -> None:
        c.default_generator().manual_seed(int(number))

    about = SimpleNamespace(is_integrated=not c.is_discrete())
    if c.is_discrete():
        about.total_memory = c.recommended()
    return {
        "is_available": lambda: True, "is_initialized": lambda: True, "device_count": lambda: 1,
        "current_device": lambda: 0, "set_device": lambda index: None, "device": _Device,
        "synchronize": lambda device=None: c.synchronize(), "empty_cache": c.empty_cache,
        "get_amp_supported_dtype": lambda: [torch.bfloat16, torch.float16], "is_bf16_supported": lambda: True,
        "_is_in_bad_fork": lambda: False, "manual_seed": seed, "manual_seed_all": seed,
        "get_rng_state": lambda device=None: c.default_generator().get_state(),
        "set_rng_state": lambda state, device=None: c.default_generator().set_state(state) and None,
        "get_device_properties": lambda device=None: about,
    }  # fmt: skip


def _as_apple(c: ModuleType) -> dict[str, Any]:
    return {
        "current_allocated_memory": c.allocated, "driver_allocated_memory": c.reserved,
        "recommended_max_memory": c.recommended, "set_per_process_memory_fraction": c.set_fraction,
    }  # fmt: skip


def _as_discrete(c: ModuleType) -> dict[str, Any]:
    of_accelerator = (
        "memory_stats", "memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved",
        "reset_peak_memory_stats",
    )  # fmt: skip
    return {
        **{name: getattr(torch.accelerator, name) for name in of_accelerator},
        "get_device_name": lambda device=None: "Fake discrete GPU", "Stream": torch.Stream, "Event": torch.Event,
        "current_stream": torch.accelerator.current_stream,
    }  # fmt: skip


def _knobs(c: ModuleType) -> dict[str, Any]:
    """What a test sets: bytes recommended, least seconds of an operator; and what it reads."""
    return {
        "set_memory": c.set_recommended, "set_operator_time": c.set_operator_time, "counters": c.counters,
        "is_pending": c.is_pending,
    }  # fmt: skip
