"""A cell's options as its workload takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.text import usable_path
from workloads.base import Workload
from workloads.models.origins.own_code import code_of

CODE = "code"
"""The option of a cell that tells the user's own model code from other code."""


def code_option(told: Mapping[str, str] | None) -> dict[str, str]:
    """What the cells of a model have among their options where it is the user's own code."""
    return {} if told is None else {CODE: told["digest"]}


def code_sent(model: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The user's own code of a cell with these options, for a process that may not find it; None where it has none."""
    return dataclasses.asdict(code_of(model)) if CODE in options else None


def options_instance(workload: type[Workload], values: dict[str, Any]) -> Any:
    """A workload's ``Options`` for one cell: axes as tuples of length one, constants in their field's type."""
    plain = workload.Options()
    changes: dict[str, Any] = {}
    for f in dataclasses.fields(plain):
        if f.name not in values:
            continue
        value, default = values[f.name], getattr(plain, f.name)
        if value is not None and (isinstance(default, Path) or "Path" in str(f.type)):
            value = usable_path(Path(value))
        if isinstance(default, tuple):
            value = (value,) if value is not None else ()
        changes[f.name] = value
    return dataclasses.replace(plain, **changes)
