"""What torch.compile keeps on disk, for one cell alone: no cell is served what another one had compiled.

In torch < 2.14 such a service could be of another precision (PyTorch's pull request 181564); in any version it makes
``compile_s`` the price of having compiled before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workloads.base import UnsupportedError
from workloads.runtime.torch_private import forget_compiled, lacks_compiler, own_compile_caches, watching_graphs

if TYPE_CHECKING:
    import torch

PREFIX = "accelsweep-compiled-"
OLD_S = 86_400.0
"""A folder of a process that is gone is cleared away after this: processes of other containers look gone too."""


def _root() -> Path:
    return Path(tempfile.gettempdir())


def _clear_away(root: Path) -> None:
    """Folders that processes left behind that were killed."""
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            is_old = time.time() - folder.stat().st_mtime > OLD_S
            if is_old and not psutil.pid_exists(int(folder.name.removeprefix(PREFIX))):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def compiled_apart(device: torch.device, look: Callable[[Any], object]) -> Iterator[None]:
    """What is compiled within has caches of its own, and each of its graphs is shown to ``look``.

    Raises:
        UnsupportedError: torch.compile has no backend for the device.
    """
    if lacks_compiler(device.type):
        raise UnsupportedError(f"torch.compile has no backend for {device.type}")
    root = _root()
    _clear_away(root)
    folder = root / f"{PREFIX}{os.getpid()}"
    folder.mkdir(exist_ok=True)
    try:
        with own_compile_caches(folder, device.type), watching_graphs(look):
            yield
    finally:
        with contextlib.suppress(OSError):  # not empty where cells are nested, as in tests
            folder.rmdir()


def warm_compile_s(step: Callable[[], object], time_s: Callable[[Callable[[], object]], float], step_s: float) -> float:
    """Seconds to compile a step once more, where all that was kept on disk is there and nothing in memory.

    Args:
        step: Compiled before, within the same ``compiled_apart``.
        time_s: Times one call, synchronised.
        step_s: Seconds of a step in the steady state.
    """
    forget_compiled()
    return max(0.0, time_s(step) - step_s)
