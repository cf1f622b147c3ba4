"""What a coverage sweep runs: one cell per operation, type and device, each with a key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class OperationCell:
    """One operation in one type on one device, both directions."""

    source: str
    operation: str
    family: str
    dtype: str
    device: str

    @property
    def key(self) -> str:
        """The same for the same cell in every sweep."""
        text = "\0".join((self.source, self.operation, self.dtype, self.device))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.operation} {self.dtype} {self.device}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the operations table that say what the cell is."""
        return {"operation_key": self.key, **self.as_dict()}


def cells_of(listed: Sequence[Mapping[str, Any]], devices: Sequence[str], dtypes: Sequence[str]) -> list[OperationCell]:
    """The product of operations as a child lists them, their types among ``dtypes``, and devices."""
    return [
        OperationCell(source=o["source"], operation=o["name"], family=o["family"], dtype=dtype, device=device)
        for device in devices
        for o in listed
        for dtype in dtypes
        if dtype in o["dtypes"]
    ]
