"""torchao, imported late; a machine without it, or with one too old, lacks these precisions and says so."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import warnings
from typing import Any

from workloads.base import UnsupportedError
from workloads.precision import PRECISIONS
from workloads.runtime.words import in_short

_NEEDED = "needs torchao 0.15 or later: pip install 'accelsweep[quantize]'"


def ours(name: str, module: str = "torchao.quantization") -> Any:
    """A public name of torchao.

    Raises:
        UnsupportedError: It is not installed, does not go with this torch, or is too old to have the name.
    """
    with warnings.catch_warnings(action="ignore"):
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, RuntimeError, AssertionError, TypeError) as error:
            try:
                there = f"; torchao {importlib.metadata.version('torchao')} is here"
            except importlib.metadata.PackageNotFoundError:
                raise UnsupportedError(_NEEDED) from error
            raise UnsupportedError(f"{_NEEDED}{there} ({in_short(error, 120)})") from error


@functools.cache
def saturates() -> bool:
    """Whether products of 8-bit numbers overflow on this processor, which then needs a bit less of them.

    Without torchao's own answer: no.
    """
    try:
        return bool(ours("should_reduce_range", "torchao.quantization.utils")())
    except UnsupportedError:
        return False


def recipe_of(precision: str) -> Any:
    """The configuration of torchao for a precision's linear layers.

    The compiler's settings are left alone: they would be those of the cells that follow, too.
    """
    row = PRECISIONS[precision]
    kind = ours(row.recipe)
    wanted: dict[str, Any] = {"set_inductor_config": False, "reduce_range": saturates()}
    if row.granularity:
        wanted["granularity"] = ours(row.granularity)()
    known = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in wanted.items() if name in known})
