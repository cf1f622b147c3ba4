"""What a process must be started with to have a memory allocator, and whether this one has it."""

from __future__ import annotations

import ctypes.util
import functools
import importlib.util
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from analysis.contract.allocators import ALLOCATORS
from workloads.base import UnsupportedError

_PRELOAD = "LD_PRELOAD"
_MAPS = Path("/proc/self/maps")


@functools.cache
def _library(name: str) -> str | None:
    """A library that can be loaded before all others: the system's, or the one that Ray ships."""
    found = ctypes.util.find_library(name)
    if found is not None:
        return found
    ray = importlib.util.find_spec("ray")
    folders = [Path(folder) / "core" for folder in (ray and ray.submodule_search_locations) or ()]
    return next((str(file) for folder in folders if (file := folder / f"lib{name}.so").is_file()), None)


def lacks(name: str) -> str | None:
    """Why no process on this machine can have an allocator; None if one can."""
    if platform.libc_ver()[0] != "glibc":
        return f"allocator {name}: is set through glibc, which this system does not have"
    wanted = ALLOCATORS[name]
    if wanted.libraries and not any(map(_library, wanted.libraries)):
        return f"allocator {name}: its library is not installed (on Debian and Ubuntu: {wanted.package})"
    return None


def environment_of(name: str | None) -> dict[str, str]:
    """The variables that a process must be started with; empty for the default, and where there is none to be had."""
    if name is None or lacks(name):
        return {}
    wanted = ALLOCATORS[name]
    library = next(filter(None, map(_library, wanted.libraries)), None)
    if library is None:
        return dict(wanted.variables)
    loaded = " ".join(filter(None, (library, os.environ.get(_PRELOAD))))
    return {**wanted.variables, _PRELOAD: loaded}


def check_allocator(name: str | None, variables: Mapping[str, str] = os.environ) -> None:
    """Check that this process has the allocator that a cell asks for.

    Raises:
        UnsupportedError: The machine lacks it.
        RuntimeError: The machine has it, and this process does not.
    """
    if name is None:
        return
    if (reason := lacks(name)) is not None:
        raise UnsupportedError(reason)
    wanted = ALLOCATORS[name]
    mapped = _MAPS.read_text(encoding="utf-8", errors="replace") if wanted.libraries else ""
    if any(variables.get(n) != value for n, value in wanted.variables.items()) or (
        wanted.libraries and not any(f"lib{library}" in mapped for library in wanted.libraries)
    ):
        raise RuntimeError(f"allocator {name}: this process was started without it")
