"""All operations there are, by source; each source is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workloads.operations.base import SOURCES, Operation, OperationsMissingError

Recording = Mapping[str, Sequence[Mapping[str, Any]]]


def _database(_: Recording) -> Sequence[Operation]:
    from workloads.operations.database import database_operations

    return database_operations()


def _transforms(_: Recording) -> Sequence[Operation]:
    from workloads.operations.transforms import transform_operations

    return transform_operations()


def _modules(recording: Recording) -> Sequence[Operation]:
    from workloads.operations.modules import recorded_operations

    return recorded_operations(recording)


_LOADERS: dict[str, Callable[[Recording], Sequence[Operation]]] = {
    "database": _database, "transforms": _transforms, "modules": _modules,
}  # fmt: skip


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
            found += _LOADERS[source](recording or {})
        except OperationsMissingError as error:
            missing[source] = str(error)
    return found, missing


def load_operation(source: str, name: str, recording: Recording | None = None) -> Operation:
    """One operation.

    Raises:
        KeyError: If there is none of this name.
        OperationsMissingError: If this torch or torchvision lacks the source.
    """
    for operation in _LOADERS[source](recording or {}):
        if operation.name == name:
            return operation
    raise KeyError(f"no operation {name!r} in {source!r}")
