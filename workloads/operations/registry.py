"""All operations there are, by source; each source is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from workloads.operations.base import SOURCES, Operation, OperationsMissingError

Recording = Mapping[str, Sequence[Mapping[str, Any]]]


_LOADERS = {"database": "database_operations", "transforms": "transform_operations", "modules": "recorded_operations"}


def operations_of(source: str, recording: Recording) -> Sequence[Operation]:
    """Every operation of a source.

    Raises:
        OperationsMissingError: If this torch or torchvision lacks the source.
    """
    load = getattr(importlib.import_module(f"workloads.operations.{source}"), _LOADERS[source])
    found: Sequence[Operation] = load(recording) if source == "modules" else load()
    return found


def load_operations(recording: Recording | None = None) -> tuple[list[Operation], dict[str, str]]:
    """Every operation of every source.

    Args:
        recording: Calls of the model zoo as ``zoo.record_zoo`` gives them; none without.

    Returns:
        The operations; and, for sources that this torch or torchvision lacks, why.
    """
    found: list[Operation] = []
    missing: dict[str, str] = {}
    for source in SOURCES:
        try:
            found += operations_of(source, recording or {})
        except OperationsMissingError as error:
            missing[source] = str(error)
    return found, missing


def load_operation(source: str, name: str, recording: Recording | None = None) -> Operation:
    """One operation.

    Raises:
        KeyError: If there is none of this name.
        OperationsMissingError: If this torch or torchvision lacks the source.
    """
    for operation in operations_of(source, recording or {}):
        if operation.name == name:
            return operation
    raise KeyError(f"no operation {name!r} in {source!r}")
