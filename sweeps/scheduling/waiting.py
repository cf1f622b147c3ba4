"""Cells that wait for room on the nodes that can take them, between the chooser and the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sweeps.choosing.chooser import WAIT, Chooser, Wait
from sweeps.plan.config import TrialConfig


def any_room(_cell: TrialConfig) -> bool:
    """Room for every cell."""
    return True


class WaitingCells:
    """Takes cells from a chooser and keeps those that there is no room for yet, so that others need not wait for them.

    Args:
        chooser: Where cells come from.
    """

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self._held: dict[tuple[str, str | None], deque[TrialConfig]] = {}
        """By device and kind of node: cells of one name find room, or none, together."""

    def __len__(self) -> int:
        return sum(len(cells) for cells in self._held.values())

    def next_cell(
        self, has_room: Callable[[TrialConfig], bool] = any_room, look_ahead: int = 0
    ) -> TrialConfig | Wait | None:
        """The next cell that there is room for, WAIT, or None when none is left.

        Args:
            has_room: Whether a cell can be given to a node now.
            look_ahead: How many may wait before no further ones are looked at.
        """
        for cells in self._held.values():
            if cells and has_room(cells[0]):
                return cells.popleft()
        n_held = len(self)
        while n_held <= look_ahead:
            cell = self._chooser.next_cell()
            if cell is None:
                return WAIT if n_held else None
            if not isinstance(cell, TrialConfig) or has_room(cell):
                return cell
            self._held.setdefault((cell.device, cell.node), deque()).append(cell)
            n_held += 1
        return WAIT

    def put_back(self, cell: TrialConfig) -> None:
        """A cell that was handed out did not run: it comes next."""
        self._held.setdefault((cell.device, cell.node), deque()).appendleft(cell)

    def clear(self) -> list[TrialConfig]:
        """Forget the cells that wait; which they were."""
        left = [cell for cells in self._held.values() for cell in cells]
        self._held.clear()
        return left
