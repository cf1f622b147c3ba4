"""What chooses a sweep's cells: the whole grid here; studies in ``pruning.py``, batch sizes in ``auto_batch.py``."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from sweeps.config import TrialConfig


class Wait(enum.Enum):
    """The one value of a chooser that cannot say what comes next before a running cell has ended."""

    WAIT = "wait"


WAIT: Literal[Wait.WAIT] = Wait.WAIT
SampleBlock = tuple[str, int, np.ndarray, np.ndarray | None]
"""(phase, round, seconds, scheduled seconds or None) of a block of samples."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker is.

    Attributes:
        node_id: Ray's identifier of its node.
        device_index: Which of the node's accelerators it was given, as Ray numbers them; None where it counts none.
    """

    node_id: str | None = None
    device_index: str | None = None

    @property
    def key(self) -> str:
        """Names one device of a cluster."""
        return f"{self.node_id} {self.device_index}"


@dataclass(kw_only=True, repr=False)
class Message:
    """What a worker reports of a cell: the rounds since its last message, and the row as it stands."""

    trial_key: str
    row: dict[str, Any]
    rounds: list[dict[str, Any]] = field(default_factory=list)
    samples: list[SampleBlock] = field(default_factory=list)
    device_facts: dict[str, Any] = field(default_factory=dict)
    """What was proven and measured of the device, for the cells that follow."""
    place: Place = Place()
    is_final: bool = False

    def __repr__(self) -> str:
        """Short: Tune writes every result into log lines that nobody reads, arrays of samples and all."""
        return f"Message({self.trial_key}, {len(self.rounds)} rounds{', final' if self.is_final else ''})"


class Chooser(Protocol):
    """What decides which cell comes next and whether a running one goes on."""

    def next_cell(self) -> TrialConfig | Wait | None:
        """The next cell to run, WAIT until a running one has ended, or None when there is none left."""

    def report(
        self, cell: TrialConfig, message: Message, rounds: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        """Take a running cell's rounds so far; columns that say why it should stop, or None to go on."""

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        """Take a cell's final row, rounds and samples before they are recorded; may change them."""

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> None:
        """Take a cell's row now that it is durable."""

    def forget(self, cell: TrialConfig) -> None:
        """Take back a running cell: the sweep was interrupted."""

    def finish(self) -> Mapping[str, Mapping[str, Any]]:
        """Columns that only the end of the sweep tells, by the key of the row to change."""

    def summary(self) -> list[str]:
        """Lines for the end of the sweep."""


class WholeGrid:
    """Every cell, in order, to its end."""

    def __init__(self, cells: Iterable[TrialConfig]) -> None:
        self._cells = iter(cells)

    def next_cell(self) -> TrialConfig | Wait | None:
        return next(self._cells, None)

    def report(
        self, cell: TrialConfig, message: Message, rounds: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        return None

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        return None

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> None:
        return None

    def forget(self, cell: TrialConfig) -> None:
        return None

    def finish(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def summary(self) -> list[str]:
        return []
