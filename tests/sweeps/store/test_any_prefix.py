"""A sweep killed at any write, any number of times, goes on and ends with every cell once; nothing is measured twice.

The driver without Ray: ledger, store and chooser are the real ones, the workers' messages are made by hand, and the
process dies in the middle of a write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.cell.message import Message
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import N_VISITS, MeasureConfig
from sweeps.plan.search import PruningConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.session.running import choose
from sweeps.store import checksums, part_files
from sweeps.store.rows import cell_columns
from sweeps.store.schema import TABLES, TRIALS
from sweeps.store.store import ResultStore

STATUSES = ("complete", "complete", "oom", "unsupported", "error")
GRID = SweepConfig(workload="w", device=("cpu",), batch_size=(1, 2, 3, 4), precision=("fp32",), model=("m",))
PRUNED = SweepConfig(
    workload="w", device=("cpu",), batch_size=(1, 2, 3, 4), precision=("fp32",), model=("m",),
    pruning=PruningConfig(pruner="median", parameters={"n_startup_trials": 1, "n_warmup_steps": 0}),
)  # fmt: skip
AUTO = SweepConfig(
    workload="w", device=("cpu",), batch_size=(1,), precision=("fp32",), model=("m",), is_batch_auto=True
)
IN_TURNS = SweepConfig(
    workload="w", device=("cpu",), batch_size=(1, 2, 3), precision=("fp32",), model=("m",),
    measure=MeasureConfig(rounds="interleaved"),
)  # fmt: skip


class Killed(BaseException):
    """The process is gone: nothing that it had in memory is left."""


class Nobody:
    def cell_started(self, cell: TrialConfig) -> None: ...
    def cell_progressed(self, cell: TrialConfig, row: Any) -> None: ...
    def cell_ended(self, cell: TrialConfig, row: Any) -> None: ...


@contextmanager
def dying(n_writes: int) -> Iterator[None]:
    """The process dies in its write of this number, with half a file under a temporary name."""
    real, left = part_files.write_durably, [n_writes]

    def write(path: Path, content: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            path.with_name(f".{path.name}.1.tmp").write_bytes(b"PAR1 half")
            raise Killed
        real(path, content)

    with pytest.MonkeyPatch.context() as patch:
        for module in (part_files, checksums):
            patch.setattr(module, "write_durably", write)
        yield


class Driver:
    """What ``run_sweep`` and Tune do with a ledger, in one thread.

    Attributes:
        measured: Keys of the cells that workers were given, of all runs together.
    """

    def __init__(self, folder: Path, config: SweepConfig, statuses: list[str]) -> None:
        self.folder, self.config, self.statuses = folder, config, statuses
        self.cells = config.cells()
        self.measured: list[str] = []
        ResultStore.create(folder, config, self.cells, ["accelsweep", "w"])

    def run(self) -> None:
        store, description = ResultStore.open(self.folder)
        assert SweepConfig.from_dict(description["config"]) == self.config
        cells = [TrialConfig.from_dict(cell) for cell in description["cells"]]
        chooser = choose(self.config, cells, store, store.rows())
        ledger = Ledger(self.config, cells, store, chooser, Nobody())
        while isinstance(cell := ledger.hand_out("t"), TrialConfig):
            self.measured.append(cell.key)
            self._work(ledger, cell)
        for key, columns in chooser.finish().items():
            store.amend(key, columns)
        store.compact()

    def _work(self, ledger: Ledger, cell: TrialConfig) -> None:
        """A worker's messages: two rounds, then the end in the cell's status; a pruned cell is stopped before."""
        status, rate = self.statuses[cell.batch_size - 1], float(cell.batch_size)
        rounds = [
            {"round": r, "elapsed_s": r + 1.0, "seconds": 1.0, "items": 4, "throughput_items_per_s": rate}
            for r in (0, 1)
        ]
        row = dict.fromkeys(TRIALS.names) | cell_columns(cell) | {
            "status": status, "items_per_step": cell.batch_size, "steps_per_sample": 1, "warmup_s": 1.0, "wall_s": 3.0,
            "n_warmup_steps": 5, "measured_s": 2.0, "step_median_s": 0.5, "throughput_items_per_s": rate,
        }  # fmt: skip
        for entry in rounds:
            blocks = [("measure", entry["round"], np.full(3, 0.5), None)]
            partial = Message(trial_key=cell.key, row={**row, "status": None}, rounds=[entry], samples=blocks)  # type: ignore[arg-type]
            if ledger.receive("t", partial):
                return
        ledger.receive("t", Message(trial_key=cell.key, row=row, is_final=True))

    def check(self) -> None:
        rows = ResultStore(self.folder).rows()
        if self.config.is_grid:
            assert sorted(row["trial_key"] for row in rows) == sorted(cell.key for cell in self.cells)
        assert sorted(row["trial_index"] for row in rows) == list(range(len(rows))), "no two cells at one place"
        for row in rows:
            assert row["status"] in {self.statuses[row["batch_size"] - 1], "pruned"}
        for table in set(TABLES) - {"profiles"}:  # no cell was profiled
            assert len(list((self.folder / table).glob("[!._]*.parquet"))) == 1, "compacted"
        samples = ResultStore(self.folder).sample_blocks([row["trial_key"] for row in rows])
        for row in rows:
            n_visits = N_VISITS if self.config is IN_TURNS and row["status"] == "complete" else 1
            n_rounds = (row["pruned_at_round"] + 1) if row["status"] == "pruned" else 2 * n_visits
            assert len(samples[row["trial_key"]]) == n_rounds, "each round once, none of a run that died"


def killed_and_resumed(folder: Path, config: SweepConfig, statuses: list[str], deaths: list[int]) -> Driver:
    driver = Driver(folder, config, statuses)
    for n_writes in deaths:
        before = {row["trial_key"] for row in ResultStore(folder).rows()}
        n_measured = len(driver.measured)
        with dying(n_writes):
            try:
                driver.run()
            except Killed:
                pass
            else:
                break
        if config is not IN_TURNS:
            assert not before & set(driver.measured[n_measured:]), "measured again though recorded"
    driver.run()
    driver.check()
    return driver


@pytest.fixture(autouse=True, scope="module")
def without_waiting_for_the_disk() -> Iterator[None]:
    """It is the process that dies here, not the machine: the disk's own pace is half of this file's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


DEATHS = st.lists(st.integers(0, 12), max_size=4)
OUTCOMES = st.lists(st.sampled_from(STATUSES), min_size=4, max_size=4)


def settled(n: int) -> settings:
    return settings(max_examples=n, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@settled(15)
@given(statuses=OUTCOMES, deaths=DEATHS)
def test_a_grid_killed_at_any_write_ends_with_every_cell_once(
    statuses: list[str], deaths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    driver = killed_and_resumed(tmp_path_factory.mktemp("s"), GRID, statuses, deaths)
    assert len(driver.measured) <= len(driver.cells) + len(deaths), "each death costs one cell at most"


@settled(8)
@given(statuses=OUTCOMES, deaths=DEATHS)
def test_a_sweep_in_turns_killed_at_any_write_makes_every_visit_once(
    statuses: list[str], deaths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    killed_and_resumed(tmp_path_factory.mktemp("s"), IN_TURNS, statuses, deaths)


@settled(8)
@given(n_fit=st.integers(1, 12), deaths=DEATHS)
def test_a_search_for_batch_sizes_killed_at_any_write_tries_each_size_once_and_numbers_them_on(
    n_fit: int, deaths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    driver = killed_and_resumed(tmp_path_factory.mktemp("s"), AUTO, ["complete"] * n_fit + ["oom"] * 20, deaths)
    rows = {row["batch_size"]: row for row in ResultStore(driver.folder).rows()}
    assert rows[n_fit]["search_role"] == "fastest and largest"
    assert rows[n_fit + 1]["status"] == "oom"


@settled(4)
@given(statuses=OUTCOMES, deaths=st.lists(st.integers(0, 9), min_size=1, max_size=2))
def test_a_sweep_with_a_study_killed_at_any_write_keeps_both_alike(
    statuses: list[str], deaths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    driver = killed_and_resumed(tmp_path_factory.mktemp("s"), PRUNED, statuses, deaths)
    rows = ResultStore(driver.folder).rows()
    (name,) = {row["study_name"] for row in rows}
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{driver.folder / 'study.db'}")
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    assert {t.user_attrs["trial_key"]: (t.number, t.state.name) for t in study.trials} == {
        row["trial_key"]: (row["study_trial"], states.get(row["status"], "FAIL")) for row in rows
    }
    assert json.loads((driver.folder / "sweep.json").read_text())["n_cells"] == len(study.trials)
