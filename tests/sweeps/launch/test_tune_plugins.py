"""What Tune is given of a sweep, on Tune's own trials and a real ledger and store; no Ray is started."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from sweeps.cell.message import Message
from sweeps.choosing.chooser import WAIT, Chooser
from sweeps.launch import tune_plugins
from sweeps.launch.tune_plugins import CellSearcher, LedgerScheduler, LedgerWatch, SweepStopper
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.nodes import Cluster
from sweeps.scheduling.placement import Placement
from sweeps.store.rows import cell_columns
from sweeps.store.store import ResultStore
from tests.sweeps.scheduling.made import GPU, config_of, node


class Watched:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def cell_started(self, cell: TrialConfig) -> None:
        self.told.append(f"started {cell.batch_size}")

    def cell_progressed(self, cell: TrialConfig, row: Any) -> None:
        self.told.append(f"progressed {cell.batch_size}")

    def cell_ended(self, cell: TrialConfig, row: Any) -> None:
        self.told.append(f"ended {cell.batch_size} {row['status']}")


class GivesUp(Chooser):
    """Gives a cell up after its second round, as a pruner would."""

    def report(self, cell: Any, message: Any, rounds: Any) -> Any:
        return {"pruned_at_round": len(rounds) - 1} if len(rounds) > 1 else None


class Books:
    """A ledger with a store, and a searcher that asks it."""

    def __init__(self, folder: Path, cluster: Cluster | None = None, *, chooser: Any = Chooser, **values: Any) -> None:
        self.cluster = cluster or Cluster([node("a")])
        self.config = config_of(self.cluster, **values)
        self.cells, self.observer = self.config.cells(), Watched()
        self.store = ResultStore.create(folder / "s", self.config, self.cells, [])
        self.ledger = Ledger(self.config, self.cells, self.store, chooser(self.cells), self.observer)
        self.placement = Placement(self.cluster, self.config)
        self.searcher = CellSearcher(self.ledger, self.config, self.placement)

    def statuses(self) -> dict[int, tuple[str, str | None]]:
        return {row["batch_size"]: (row["status"], row["status_reason"]) for row in self.store.rows()}


class TrialHere(Trial):
    """A trial as Tune makes them, of a trainable that is never run; it has its folder without Ray's session."""

    folder: Path

    @property
    def local_path(self) -> str:
        return str(self.folder)


def trial(trial_id: str, folder: Path) -> Trial:
    made = TrialHere("sweep", trial_id=trial_id, stub=True)
    made.folder = folder
    return made


def message(cell: TrialConfig, n_rounds: int = 0, **row: Any) -> Message:
    rounds = [{"round": i, "seconds": 0.1, "elapsed_s": 0.1, "items": 1} for i in range(n_rounds)]
    return Message(trial_key=cell.key, row={**cell_columns(cell), **row}, rounds=rounds, is_final="status" in row)


def test_the_searcher_hands_out_each_cell_with_what_its_worker_needs_and_then_no_more(tmp_path: Path) -> None:
    books = Books(tmp_path)
    books.ledger.device_facts["cpu"] = {"a None": {"timing_verified": True}}
    given = [books.searcher.suggest(f"t{i}") for i in range(2)]
    assert [TrialConfig.from_dict(g["cell"]) for g in given] == books.cells
    assert given[0]["bundles"] == [{"CPU": 16}]
    assert given[0]["on_nodes"] is None, "one node alone needs no name"
    assert given[0]["measure"]["min_rounds"] == books.config.measure.min_rounds
    assert given[0]["device_facts"] == {"a None": {"timing_verified": True}}
    assert books.ledger.running == {"t0": books.cells[0], "t1": books.cells[1]}
    assert books.searcher.suggest("t2") == Searcher.FINISHED


def test_of_several_nodes_a_trial_is_bound_to_those_that_can_take_it(tmp_path: Path) -> None:
    books = Books(tmp_path, Cluster([node("a"), node("b", resources={"CPU": 4.0})]), batch_size=(1,), device=("cpu",))
    assert books.searcher.suggest("t0")["on_nodes"] in ({"ray.io/node-id": "a" * 56}, {"ray.io/node-id": "b" * 56})


def test_a_cell_that_no_node_takes_ends_as_unsupported_and_the_next_one_is_handed_out(tmp_path: Path) -> None:
    config = config_of(Cluster([node("a")]), device=(GPU, "cpu"), batch_size=(1,))
    books = Books(tmp_path, device=(GPU, "cpu"), batch_size=(1,))
    given = books.searcher.suggest("t0")
    assert given["cell"]["device"] == "cpu"
    rows = {row["device"]: row for row in books.store.rows()}
    assert set(rows) == {config.cells()[0].device} == {GPU}
    assert rows[GPU]["status"] == "unsupported"
    assert GPU in rows[GPU]["status_reason"]


def test_while_the_chooser_waits_tune_is_asked_to_come_again(tmp_path: Path) -> None:
    class Waits(Chooser):
        def next_cell(self) -> Any:
            return WAIT

    books = Books(tmp_path, chooser=Waits)
    assert books.searcher.suggest("t0") is None
    assert books.ledger.running == {}


def test_a_trials_last_message_makes_its_row_and_frees_its_place(tmp_path: Path) -> None:
    books = Books(tmp_path)
    books.searcher.suggest("t0")
    assert books.placement.pool_of("t0") is not None
    books.searcher.on_trial_complete("t0", {"message": message(books.cells[0], 1, status="complete")})
    assert books.statuses() == {1: ("complete", None)}
    assert books.ledger.running == {}
    assert books.observer.told == ["progressed 1", "ended 1 complete"]


def test_a_trial_that_ends_without_a_last_message_has_crashed(tmp_path: Path) -> None:
    books = Books(tmp_path)
    books.searcher.suggest("t0")
    books.searcher.on_trial_complete("t0", None)
    assert books.statuses() == {1: ("crashed", "the worker died")}


@pytest.mark.parametrize(
    ("seconds", "reason"), [(600.0, "the worker died under the profiler"), (1e-9, "the profiler took too long")]
)
def test_a_worker_that_the_profiler_ends_leaves_the_row_as_it_was(tmp_path: Path, seconds: float, reason: str) -> None:
    books = Books(tmp_path, chooser=GivesUp, trial_timeout_s=seconds)
    cell = books.searcher.suggest("t1") and books.cells[0]
    books.ledger.start("t1")
    told = message(cell, n_rounds=3, status="complete", step_median_s=0.1)
    told.is_whole, told.is_final, told.rounds = True, False, [{"round": n, "seconds": 0.1} for n in range(3)]
    time.sleep(0.001)
    assert not books.ledger.receive("t1", told), "no pruner is asked of what has been measured to its end"
    assert books.ledger.overdue() == (["t1"] if seconds < 1 else [])
    books.ledger.close("t1", error="SIGSEGV")
    row = books.store.rows()[0]
    assert (row["status"], row["profile_reason"], row["step_median_s"]) == ("complete", reason, 0.1)


def test_the_end_of_a_trial_with_an_error_is_left_to_the_callback_that_knows_it(tmp_path: Path) -> None:
    books = Books(tmp_path)
    books.searcher.suggest("t0")
    books.searcher.on_trial_complete("t0", error=True)
    assert books.statuses() == {}
    assert list(books.ledger.running) == ["t0"]


def test_the_scheduler_goes_on_until_the_pruner_gives_a_cell_up(tmp_path: Path) -> None:
    books = Books(tmp_path, chooser=GivesUp)
    scheduler, running = LedgerScheduler(books.ledger, None), trial("t0", tmp_path)
    books.searcher.suggest("t0")
    result = lambda n: {"message": message(books.cells[0], n)}  # noqa: E731
    assert scheduler.on_trial_result(None, running, result(1)) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, running, {"time_total_s": 1.0}) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, running, result(1)) == TrialScheduler.STOP
    assert books.statuses() == {1: ("pruned", None)}
    assert scheduler.on_trial_result(None, running, result(1)) == TrialScheduler.STOP, "it has its row already"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ray.exceptions.ActorDiedError: the worker died: SIGSEGV", ("crashed", "the worker died")),
        ("ray.exceptions.OutOfMemoryError: Task was killed", ("oom", "killed for memory")),
        ("the node was running low on memory", ("oom", "killed for memory")),
        (None, ("crashed", "the worker died")),
    ],
)
def test_what_tune_wrote_of_a_worker_that_died_says_how_its_cell_ended(
    tmp_path: Path, error: str | None, expected: tuple[str, str]
) -> None:
    books = Books(tmp_path)
    books.searcher.suggest("t0")
    failed = trial("t0", tmp_path)
    if error is not None:
        failed.handle_error(ray.exceptions.RayError(error))  # writes its file, as it does in a sweep
    LedgerWatch(books.ledger, None).on_trial_error(0, [failed], failed)
    assert books.statuses() == {1: expected}
    (row,) = books.store.rows()
    assert row["error_message"] is None if error is None else error in row["error_message"]


def test_a_kill_for_memory_is_that_of_a_trial_that_ran_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kills = [0]
    monkeypatch.setattr(tune_plugins, "n_memory_kills", lambda: kills[0])
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "here"))
    books = Books(tmp_path)
    watch, (first, second) = LedgerWatch(books.ledger, None), (trial(name, tmp_path) for name in ("t0", "t1"))
    for one in (first, second):
        books.searcher.suggest(one.trial_id)
        watch.on_trial_start(0, [], one)
        kills[0] += one is first
    for one in (first, second):
        watch.on_trial_error(1, [], one)
    assert [books.statuses()[cell.batch_size][0] for cell in books.cells[:2]] == ["oom", "crashed"]


def test_a_trials_clock_starts_when_tune_runs_it_and_its_worker_is_ended_when_it_is_over_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []
    monkeypatch.setattr(ray, "kill", ended.append)
    books = Books(tmp_path, trial_timeout_s=0.05)
    for trial_id in ("t0", "t1"):
        books.searcher.suggest(trial_id)
    trials, actor = [trial(name, tmp_path) for name in ("t0", "t1", "other")], object()
    trials[0].set_status(Trial.RUNNING)
    trials[0].temporary_state.ray_actor = actor
    watch = LedgerWatch(books.ledger, None)
    watch.on_step_begin(0, trials)
    assert books.observer.told == ["started 1"]
    assert books.ledger.waiting() == ["t1"]
    time.sleep(0.06)
    watch.on_step_begin(1, trials)
    assert ended == [actor]
    watch.on_trial_error(2, trials, trials[0])
    assert books.statuses() == {1: ("timeout", "over --trial-timeout 0.05 s")}
    assert books.observer.told == ["started 1", "ended 1 timeout"]


def test_a_signal_stops_the_sweep_and_is_answered_once(tmp_path: Path) -> None:
    signals: list[int] = []
    said: list[str] = []
    stopper = SweepStopper(Books(tmp_path).ledger, signals, said.append)
    assert (stopper("t0", {}), stopper.stop_all(), said) == (False, False, [])
    signals.append(2)
    assert stopper.stop_all()
    assert stopper.stop_all()
    assert len(said) == 1
    assert said[0].startswith("interrupted: finished cells are kept")


def test_a_spent_budget_and_a_row_that_cannot_be_written_stop_the_sweep(tmp_path: Path) -> None:
    spent = Books(tmp_path / "spent", budget_s=1e-6)
    assert SweepStopper(spent.ledger, [], pytest.fail).stop_all()
    assert spent.searcher.suggest("t0") == Searcher.FINISHED
    lost = Books(tmp_path / "lost")
    stopper = SweepStopper(lost.ledger, [], pytest.fail)
    assert not stopper.stop_all()
    lost.searcher.suggest("t0")
    (lost.store.folder / "trials").rename(tmp_path / "elsewhere")
    (lost.store.folder / "trials").write_text("a file where the table was")
    lost.searcher.on_trial_complete("t0", {"message": message(lost.cells[0], status="complete")})
    assert isinstance(lost.ledger.failure, OSError | SweepLostError)
    assert stopper.stop_all()


def test_tune_copies_nothing_of_the_books(tmp_path: Path) -> None:
    books = Books(tmp_path)
    assert SweepStopper(books.ledger, [], print).__getstate__() == {}
    assert books.ledger.__getstate__() == {}
    assert isinstance(books.config, SweepConfig)
