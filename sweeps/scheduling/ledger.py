"""The books of a running sweep: which cells are open, running and done; every cell ends here as one row.

Free of Ray: ``sweeps/launch/`` feeds it what Tune reports. Whatever happens to a worker, ``close`` is called
once for its cell, and the row is durable when it returns.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sweeps.cell.message import Message
from sweeps.cell.outcome import killed
from sweeps.choosing.chooser import WAIT, Chooser, Wait
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.runs import first_run
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.placement import WaitingCells
from sweeps.store.rows import SampleBlock, cell_columns, fitted, samples_table
from sweeps.store.schema import SCHEMA_VERSION
from sweeps.store.store import ResultStore


class Observer(Protocol):
    """Who watches a sweep, such as the terminal."""

    def cell_started(self, cell: TrialConfig) -> None: ...
    def cell_progressed(self, cell: TrialConfig, row: Mapping[str, Any]) -> None: ...
    def cell_ended(self, cell: TrialConfig, row: Mapping[str, Any]) -> None: ...


@dataclass(kw_only=True)
class _Running:
    cell: TrialConfig
    handed_out: float
    started: float | None = None
    message: Message | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list)
    samples: list[SampleBlock] = field(default_factory=list)
    verdict: dict[str, Any] | None = None
    """Columns of a status decided here: pruned or timeout."""


class Ledger:
    """Hands out cells and records how each ends."""

    def __init__(
        self,
        config: SweepConfig,
        cells: Sequence[TrialConfig],
        store: ResultStore,
        chooser: Chooser,
        observer: Observer,
    ) -> None:
        self._config, self._store, self._chooser, self._observer = config, store, chooser, observer
        self._index = {cell.key: i for i, cell in enumerate(cells)}
        if not config.is_grid:  # no grid numbers a search's cells, so a resumed one goes on from its rows
            for row in store.rows(["trial_key", "trial_index"]):
                self._index.setdefault(row["trial_key"], row["trial_index"])
        self._next_index = itertools.count(1 + max(self._index.values(), default=-1))
        self._running: dict[str, _Running] = {}
        self.device_facts: dict[str, dict[str, dict[str, Any]]] = {}
        """What the workers proved of each device, by device name and place."""
        self.node_columns: dict[str, dict[str, Any]] = {}
        """Columns of the rows that a node measured, by its id."""
        self._waiting = WaitingCells(chooser)
        self._lost: set[str] = set()
        """Keys of the cells whose node was lost once."""
        self._began = time.monotonic()
        self.failure: OSError | SweepLostError | None = None
        """Why a row could not be written; None while all is well. No cell is handed out from then on."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune copies whatever knows the ledger into its own experiment state, which we never read."""
        return {}

    @property
    def is_over_budget(self) -> bool:
        budget = self._config.budget_s
        return budget is not None and time.monotonic() - self._began > budget

    @property
    def running(self) -> dict[str, TrialConfig]:
        """The cell of each running Tune trial."""
        return {trial_id: run.cell for trial_id, run in self._running.items()}

    def hand_out(
        self, trial_id: str, has_room: Callable[[TrialConfig], bool] = lambda _: True, look_ahead: int = 0
    ) -> TrialConfig | Wait | None:
        """The next cell for a new Tune trial, WAIT for a running one, or None when nothing or no time is left.

        Cells that cannot be given to a node now wait; while more than ``look_ahead`` do, no further ones are looked at.
        """
        if self.is_over_budget or self.failure is not None:
            return None
        cell = self._waiting.next_cell(has_room, look_ahead)
        if cell is None and self.node_columns and self._running:
            return WAIT  # a cell that runs comes back if its node is lost, and Tune does not ask again after a None
        if isinstance(cell, TrialConfig):
            key = first_run(cell, self._config).key
            if key not in self._index:
                self._index[key] = next(self._next_index)
            self._running[trial_id] = _Running(cell=cell, handed_out=time.monotonic())
        return cell

    def waiting(self) -> list[str]:
        """The trials that no worker has been told to run."""
        return [trial_id for trial_id, run in self._running.items() if run.started is None]

    def node_of(self, trial_id: str) -> str | None:
        """The node that measures a trial's cell, as far as its worker has said."""
        run = self._running.get(trial_id)
        return run.message.place.node_id if run is not None and run.message is not None else None

    def requeue(self, trial_id: str, *, is_lost: bool = False) -> bool:
        """Take a trial's cell back, to hand it out once more; False, and nothing done, if its node was lost before."""
        run = self._running.get(trial_id)
        if run is None or (is_lost and run.cell.key in self._lost):
            return False
        if is_lost:
            self._lost.add(run.cell.key)
        del self._running[trial_id]
        self._waiting.put_back(run.cell)
        return True

    def give_up(self, trial_id: str, status: str, reason: str) -> None:
        """End a trial's cell with a status decided here."""
        run = self._running.get(trial_id)
        if run is not None:
            run.verdict = {"status": status, "status_reason": reason}
            self.close(trial_id)

    def start(self, trial_id: str) -> None:
        """A worker has been told to run the trial's cell; its timeout counts from here."""
        run = self._running.get(trial_id)
        if run is not None and run.started is None:
            run.started = time.monotonic()
            self._observer.cell_started(run.cell)

    def receive(self, trial_id: str, message: Message) -> bool:
        """Take a worker's message; True if the trial is to be stopped now."""
        run = self._running.get(trial_id)
        if run is None:
            return True
        run.message = message
        run.rounds += message.rounds
        run.samples += message.samples
        facts = self.device_facts.setdefault(run.cell.device, {})
        facts.setdefault(message.place.key, {}).update(message.device_facts)
        self._observer.cell_progressed(run.cell, message.row)
        if message.is_final:
            self.close(trial_id)
            return False
        stop = self._chooser.report(run.cell, message, run.rounds) if message.rounds and not message.is_whole else None
        if stop is not None:
            run.verdict = {"status": "pruned", **stop}
            self.close(trial_id)
            return True
        return False

    def overdue(self) -> list[str]:
        """Trials over their time limit, which from now on count as timed out."""
        late = []
        for trial_id, run in self._running.items():
            limit_s = self._config.timeout_of(run.cell)
            if run.started is not None and time.monotonic() - run.started > limit_s:
                run.verdict = {"status": "timeout", "status_reason": f"over --trial-timeout {limit_s:g} s"}
                late.append(trial_id)
        return late

    def close(
        self,
        trial_id: str,
        error: str | None = None,
        *,
        is_out_of_memory: bool = False,
        reason: str = "the worker died",
    ) -> None:
        """End a trial's cell as one durable row; without effect if it has ended already.

        ``error`` is what Tune said of a worker that died, and ``is_out_of_memory`` that its node's memory was full.
        """
        run = self._running.pop(trial_id, None)
        if run is None:
            return
        cell, began = run.cell, run.handed_out if run.started is None else run.started
        row = {**cell_columns(cell), "wall_s": time.monotonic() - began, "started_at": datetime.now(UTC)}
        row |= run.message.row if run.message else {}
        if run.message is not None and run.message.is_whole and not run.message.is_final:
            row["profile_reason"] = (
                "the profiler took too long" if run.verdict else "the worker died under the profiler"
            )
        elif run.verdict is not None:
            row.update(run.verdict)
        elif run.message is None or not run.message.is_final:
            row.update(asdict(killed(error, reason, is_out_of_memory=is_out_of_memory)))
        row.update(self.node_columns.get(row.get("node_id") or "", {}))
        row.update(
            trial_index=self._index[first_run(cell, self._config).key],
            sweep_id=self._store.sweep_id,
            schema_version=SCHEMA_VERSION,
        )
        if row["status"] == "complete":
            row["constraints_held"] = self._config.limits.held(row)
        row = fitted(row)
        self._chooser.close(cell, row, run.rounds, run.samples)
        self._record(run, row)

    def _record(self, run: _Running, row: dict[str, Any]) -> None:
        """Make a row durable, and tell who needs to know; a failure ends the sweep."""
        try:
            told = run.message
            longest, trace = (told.longest, told.trace) if told else ((), None)
            self._store.record(row, samples_table(run.cell.key, run.samples), run.rounds, longest, trace)
            self._chooser.recorded(run.cell, row, run.rounds)
        except OSError as failure:  # no space, no permission, no disk: a resume measures the cell again
            self.failure = failure
        except Exception as failure:  # Tune would swallow it, and the cell would be gone without a word
            self.failure = SweepLostError(f"a row could not be recorded ({type(failure).__name__}: {failure})")
            self.failure.__cause__ = failure
        else:
            self._observer.cell_ended(run.cell, row)

    def drop(self) -> list[TrialConfig]:
        """Forget the cells that still run, when the sweep is interrupted; a resume measures them again."""
        left = [*(run.cell for run in self._running.values()), *self._waiting.clear()]
        self._running.clear()
        for cell in left:
            self._chooser.forget(cell)
        return left
