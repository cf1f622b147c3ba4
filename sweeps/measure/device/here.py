"""Which devices this machine has, asked without importing torch here: that takes seconds, and a process of its own.

A torch that is built for no accelerator, or for NVIDIA's where there is no driver, has none, which its
files say. Everything else is said by torch, in a child that runs while this process goes on.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import functools
import importlib.util
import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from workloads.base import BadInputError

_BUILDS = ("cuda", "hip", "xpu")
"""What a torch is built for, as it says itself; null where it is not."""
_NVIDIA_DRIVER = "libcuda.so.1"


_QUESTION = """
import gc
gc.disable()
import json, torch
found = torch.accelerator.current_accelerator(check_available=True)
print(json.dumps({"cpu": 1} if found is None else {"cpu": 1, found.type: torch.accelerator.device_count()}))
"""


def _ask_torch() -> dict[str, int]:
    from sweeps.measure.device.device import available_devices, n_devices

    return {name: n_devices(name) for name in available_devices()}


@functools.cache
def _begin() -> subprocess.Popen[str] | None:
    """The child that asks torch; None where nobody need be asked."""
    if "torch" in sys.modules or known_at_once():
        return None
    # -P: files of the user's folder are no modules of ours.
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _QUESTION], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def known_at_once() -> dict[str, int] | None:
    """``devices_here`` where nobody need be asked, None where torch must be."""
    return {"cpu": 1} if "torch" not in sys.modules and _has_no_accelerator() else None


def begin_asking() -> None:
    """Have torch asked while this process does something else; what it says is remembered."""
    _begin()


@functools.cache
def devices_here() -> dict[str, int]:
    """How many devices of each type this machine has, ``cpu`` first.

    Raises:
        BadInputError: If torch cannot be imported.
    """
    child = _begin()
    if child is None:
        return _ask_torch() if "torch" in sys.modules else {"cpu": 1}
    told, why = child.communicate()
    if child.returncode:
        *_, last = why.strip().splitlines() or [f"exit code {child.returncode}"]
        raise BadInputError(f"torch cannot list the devices: {last}")
    found: dict[str, int] = json.loads(told.splitlines()[-1])
    return found


def _has_no_accelerator() -> bool:
    """Whether torch, as it is installed, can have no accelerator on this machine; False wherever that is not sure."""
    if sys.platform != "linux" or entry_points(group="torch.backends"):
        return False
    built = _version_of_torch()
    if built is None or any(built.get(name) for name in _BUILDS[1:]):
        return False
    return not built.get("cuda") or not _can_load(_NVIDIA_DRIVER)


def _version_of_torch() -> dict[str, Any] | None:
    """What torch's own file of its version assigns; None where it cannot be read or does not say for what torch is."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return None
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        tree = ast.parse((Path(torch.origin).parent / "version").with_suffix(".py").read_text(encoding="utf-8"))
        assigned = {
            ast.unparse(target): ast.literal_eval(line.value)
            for line in tree.body if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
            for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        }  # fmt: skip
        return assigned if set(_BUILDS) <= set(assigned) else None
    return None


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
