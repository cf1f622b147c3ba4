"""First each cell once, as its chooser has it; when all have ended, the runs that follow from what they found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from analysis.contract.cells import OPTION_COLUMNS, Row
from analysis.contract.runs import COUNTED_BY
from sweeps.cell.message import Message
from sweeps.choosing.chooser import WAIT, Chooser, Columns, Rounds, Wait
from sweeps.plan.config import CELL_COLUMNS, SweepConfig, TrialConfig
from sweeps.plan.runs import first_run, later_runs
from sweeps.store.rows import SampleBlock

_KEPT = dict.fromkeys([*CELL_COLUMNS, *OPTION_COLUMNS.values(), "options", *COUNTED_BY])


class Passes(Chooser):
    """Asks ``first`` until it has no cell left, then hands out the later runs: repeats, other seeds, or the recheck.

    A study, a search or turns hear of the first runs alone. Of the rows recorded, ``done`` are those that count.
    """

    def __init__(self, first: Chooser, config: SweepConfig, done: Iterable[Row]) -> None:
        super().__init__(())
        self._first, self._again, self._config = first, Chooser(()), config
        self._firsts: dict[str, Row] = {}
        self._done: set[str] = set()
        self._later: Iterator[TrialConfig] | None = None
        self._running: set[str] = set()
        for row in done:
            self._note(TrialConfig.from_row(row), row)

    def _note(self, cell: TrialConfig, row: Row) -> None:
        self._done.add(cell.key)
        if self._is_first(cell):  # of several visits the last holds
            self._firsts[cell.key] = {name: row.get(name) for name in _KEPT}

    def _is_first(self, cell: TrialConfig) -> bool:
        return cell == first_run(cell, self._config)

    def _of(self, cell: TrialConfig) -> Chooser:
        return self._first if self._is_first(cell) else self._again

    @property
    def n_visited(self) -> int | None:
        return self._first.n_visited

    def next_cell(self) -> TrialConfig | Wait | None:
        if self._later is None:
            cell = self._first.next_cell()
            if isinstance(cell, TrialConfig):
                self._running.add(cell.key)
            if cell is not None:
                return cell
            if self._running:
                return WAIT  # which cells are measured again is not known before each has ended
            self._later = iter(self.left())
        return next(self._later, None)

    def left(self) -> list[TrialConfig]:
        """The later runs that follow from the rows so far and have none."""
        return [cell for cell in later_runs(self._config, self._firsts.values()) if cell.key not in self._done]

    def report(self, cell: TrialConfig, message: Message, rounds: Rounds) -> Row | None:
        return self._of(cell).report(cell, message, rounds)

    def close(self, cell: TrialConfig, row: Columns, rounds: list[Columns], samples: list[SampleBlock]) -> None:
        self._of(cell).close(cell, row, rounds, samples)

    def recorded(self, cell: TrialConfig, row: Row, rounds: Rounds) -> None:
        self._running.discard(cell.key)
        self._note(cell, row)
        self._of(cell).recorded(cell, row, rounds)

    def forget(self, cell: TrialConfig) -> None:
        self._running.discard(cell.key)
        self._of(cell).forget(cell)

    def finish(self) -> Mapping[str, Row]:
        return self._first.finish()

    def summary(self) -> list[str]:
        return self._first.summary()
