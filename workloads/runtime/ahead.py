"""A network compiled ahead of time: exported, compiled to an artefact by AOTInductor, and loaded from it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from workloads.base import UnsupportedError
from workloads.runtime.torch_private import compile_ahead, load_ahead
from workloads.runtime.words import in_short

ARTEFACT = "ACCELSWEEP_ARTEFACT"
"""Variable that names the artefact: made there, or loaded where it is there already."""


class Ahead:
    """Calls a network through its artefact, which is made or loaded at the first call.

    Args:
        module: In evaluation mode. It is exported as it is called first: for a batch of that shape, under autocast
            where there is one.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._module = module
        self._loaded: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._loaded is None:
            self._loaded = self._made(args, kwargs)
        return self._loaded(*args, **kwargs)

    def _made(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with contextlib.ExitStack() as held:
            named = os.environ.get(ARTEFACT)
            file = Path(named or held.enter_context(tempfile.TemporaryDirectory(prefix="accelsweep-")) + "/network.pt2")
            if not file.exists():
                with torch.inference_mode(False), torch.no_grad():
                    compile_ahead(self._exported(args, kwargs), file)
                check_library(file)
            return load_ahead(file)

    def _exported(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return torch.export.export(self._module, args, kwargs)
        except Exception as error:  # whatever a network does that cannot be exported
            first, *_ = str(error).strip().splitlines() or [""]  # advice on how to export otherwise follows
            raise UnsupportedError(
                f"aot: the network cannot be exported: {in_short(f'{type(error).__name__}: {first}')}"
            ) from error


def check_library(artefact: Path) -> None:
    """UnsupportedError where the compiled code holds a C++ library of its own, as some compilers link it (Linux).

    Beside PyTorch's, which is in the same process, it ends that by SIGSEGV, throws, or answers wrongly.
    """
    if sys.platform != "linux":
        return
    with zipfile.ZipFile(artefact) as parts:
        for name in (one for one in parts.namelist() if one.endswith(".so")):
            with parts.open(name) as code:
                start = code.read(1 << 24)  # the names of the libraries that it loads are near its beginning
            if b"libstdc++.so" not in start and b"libc++.so" not in start:
                raise UnsupportedError(
                    "aot: the C++ compiler here links its C++ library into what it compiles, and beside PyTorch's that"
                    " crashes or answers wrongly: have it find a libstdc++.so, or name another compiler by CXX"
                )
