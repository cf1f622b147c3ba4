"""What chooses a sweep's cells: the whole grid here, the others beside it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from analysis.contract.cells import Row
from sweeps.cell.message import Message
from sweeps.plan.config import TrialConfig
from sweeps.store.rows import SampleBlock

Rounds = Sequence[Row]
Columns = dict[str, Any]
"""A row or a round that may still change."""


class Wait(enum.Enum):
    """The one value of a chooser that cannot say what comes next before a running cell has ended."""

    WAIT = "wait"


WAIT: Literal[Wait.WAIT] = Wait.WAIT


class Chooser:
    """Decides which cell comes next and whether a running one goes on; by itself every cell, in order, to its end."""

    def __init__(self, cells: Iterable[TrialConfig]) -> None:
        self._cells = iter(cells)

    @property
    def n_visited(self) -> int | None:
        """Visits that need not be made any more; None where each cell is visited once."""
        return None

    def next_cell(self) -> TrialConfig | Wait | None:
        """The next cell to run, WAIT until a running one has ended, or None when there is none left."""
        return next(self._cells, None)

    def report(self, cell: TrialConfig, message: Message, rounds: Rounds) -> Row | None:
        """Take a running cell's rounds so far; columns that say why it should stop, or None to go on."""
        return None

    def close(self, cell: TrialConfig, row: Columns, rounds: list[Columns], samples: list[SampleBlock]) -> None:
        """Take a cell's final row, rounds and samples before they are recorded; may change them."""

    def recorded(self, cell: TrialConfig, row: Row, rounds: Rounds) -> None:
        """Take a cell's row now that it is durable."""

    def forget(self, cell: TrialConfig) -> None:
        """Take back a running cell: the sweep was interrupted."""

    def finish(self) -> Mapping[str, Row]:
        """Columns that only the end of the sweep tells, by the key of the row to change."""
        return {}

    def summary(self) -> list[str]:
        """Lines for the end of the sweep."""
        return []
