"""Workloads by name: the built-in ones, and those that installed packages add through an entry point."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from workloads.base import BadInputError, Workload

GROUP = "accelsweep.workloads"
BUILT_IN = {
    "image-processing": "workloads.image_processing:ImageProcessing",
    "inference": "workloads.inference:Inference",
    "finetune": "workloads.finetune:Finetune",
}


def _targets(points: Iterable[EntryPoint] | None = None) -> dict[str, str]:
    # Built-in names win: a package cannot replace what is measured under a known name.
    points = entry_points(group=GROUP) if points is None else points  # looked up on disk, in every package
    return {**{point.name: point.value for point in points}, **BUILT_IN}


def left_out() -> dict[str, str]:
    """Of each name that several packages want, a sentence that says whose workload it is not."""
    found = entry_points(group=GROUP)
    targets, told = _targets(found), dict[str, str]()
    points = sorted(found, key=lambda point: (point.name, point.value))
    for point in points:
        if point.value != targets[point.name]:
            owner = "a built-in workload" if point.name in BUILT_IN else targets[point.name]
            package = point.dist.name if point.dist else "a package"
            told[point.name] = f"left out: workload {point.name!r} of {package} ({point.value}): the name is {owner}'s"
    return told


def workload_names() -> tuple[str, ...]:
    """The names of all workloads, built-in ones first."""
    return (*BUILT_IN, *sorted(set(_targets()) - set(BUILT_IN)))


def module_of(name: str) -> str:
    """The module that holds a workload, of one of ``workload_names``."""
    return (BUILT_IN.get(name) or _targets()[name]).partition(":")[0]


def load_workload(name: str) -> type[Workload]:
    """The class of a workload.

    Raises:
        BadInputError: If no installed package has one of that name, or it cannot be imported.
    """
    targets = BUILT_IN if name in BUILT_IN else _targets()  # those of packages are looked up on disk
    if name not in targets:
        raise BadInputError(f"unknown workload {name!r}; allowed: {', '.join(workload_names())}")
    module, _, attribute = targets[name].partition(":")
    try:
        kind: Any = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a package of others may raise anything when it is imported
        why = f"{type(error).__name__}: {error}"
        raise BadInputError(f"workload {name!r} ({targets[name]}) cannot be imported: {why}") from error
    return cast("type[Workload]", kind)
