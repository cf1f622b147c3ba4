"""What chooses a sweep's cells: the whole grid here, the others beside it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from sweeps.cell.message import Message
from sweeps.plan.config import TrialConfig
from sweeps.store.rows import SampleBlock


class Wait(enum.Enum):
    """The one value of a chooser that cannot say what comes next before a running cell has ended."""

    WAIT = "wait"


WAIT: Literal[Wait.WAIT] = Wait.WAIT


class Chooser:
    """Decides which cell comes next and whether a running one goes on; by itself every cell, in order, to its end."""

    def __init__(self, cells: Iterable[TrialConfig]) -> None:
        self._cells = iter(cells)

    def next_cell(self) -> TrialConfig | Wait | None:
        """The next cell to run, WAIT until a running one has ended, or None when there is none left."""
        return next(self._cells, None)

    def report(
        self, cell: TrialConfig, message: Message, rounds: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        """Take a running cell's rounds so far; columns that say why it should stop, or None to go on."""
        return None

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        """Take a cell's final row, rounds and samples before they are recorded; may change them."""
        return None

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> None:
        """Take a cell's row now that it is durable."""
        return None

    def forget(self, cell: TrialConfig) -> None:
        """Take back a running cell: the sweep was interrupted."""
        return None

    def finish(self) -> Mapping[str, Mapping[str, Any]]:
        """Columns that only the end of the sweep tells, by the key of the row to change."""
        return {}

    def summary(self) -> list[str]:
        """Lines for the end of the sweep."""
        return []
