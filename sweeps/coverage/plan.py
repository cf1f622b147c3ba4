"""What a coverage sweep runs: one cell per operation, type and device, each with a key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

KEY_LENGTH = 16


@dataclass(frozen=True, kw_only=True)
class OperationCell:
    """One operation in one type on one device, both directions.

    Attributes:
        source: Where the operation comes from.
        operation: Its name.
        family: What it is grouped by.
        dtype: Name of the type.
        device: Name of the device.
    """

    source: str
    operation: str
    family: str
    dtype: str
    device: str

    @property
    def key(self) -> str:
        """The same for the same cell in every sweep."""
        text = "\0".join((self.source, self.operation, self.dtype, self.device))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.operation} {self.dtype} {self.device}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a child runs a cell.

    Attributes:
        max_samples: Sample inputs run of each operation, spread evenly over all it has.
        allow_fallback: Let operations fall back to the CPU, where the device has that; else they raise.
        operation_timeout_s: End a cell that takes longer, and its process.
        n_threads: CPU threads of a child.
    """

    max_samples: int = 32
    allow_fallback: bool = True
    operation_timeout_s: float = 60.0
    n_threads: int = 1

    def __post_init__(self) -> None:
        if self.max_samples < 1 or self.operation_timeout_s <= 0 or self.n_threads < 1:
            raise ValueError(f"counts are 1 or more and times over 0, got {self}")


def cells_of(listed: Sequence[Mapping[str, Any]], devices: Sequence[str], dtypes: Sequence[str]) -> list[OperationCell]:
    """The product of operations, their types among ``dtypes``, and devices.

    Args:
        listed: As a child lists operations: source, name, family and dtypes.
        devices: Names.
        dtypes: Names.
    """
    return [
        OperationCell(source=o["source"], operation=o["name"], family=o["family"], dtype=dtype, device=device)
        for device in devices
        for o in listed
        for dtype in dtypes
        if dtype in o["dtypes"]
    ]
