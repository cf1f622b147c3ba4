"""The choosers against real Optuna studies in a real SQLite file, with rounds made by hand."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from analysis.contract.limits import Limits
from sweeps.cell.message import Message
from sweeps.choosing import optuna_study
from sweeps.choosing.optuna_search import SearchStudies, cell_of, search_space
from sweeps.choosing.optuna_study import STUDY_FILE, StudyBook
from sweeps.choosing.pruned_grid import GridStudies, spread
from sweeps.plan.config import SweepConfig, TrialConfig, stratum_of
from sweeps.plan.search import PruningConfig, Range, SearchConfig
from sweeps.plan.search_options import SearchOptions, pruning_config
from sweeps.store.rows import cell_columns
from sweeps.text import sqlite_url
from workloads.finetune import Finetune

MEDIAN = PruningConfig(pruner="median", parameters={"n_startup_trials": 2, "n_warmup_steps": 2})
GRID = SweepConfig(
    workload="inference", device=("cpu", "fast"), batch_size=(1, 2, 4, 8, 16), precision=("fp32",), model=("m",),
    pruning=MEDIAN,
)  # fmt: skip
N_ROUNDS = 6


def speed(cell: TrialConfig) -> float:
    """Best at batch size 4; the second device is a hundred times faster."""
    return {1: 10.0, 2: 20.0, 4: 40.0, 8: 30.0, 16: 5.0}[cell.batch_size] * (100 if cell.device == "fast" else 1)


def run_cell(chooser: Any, cell: TrialConfig, rate: float, n_rounds: int = N_ROUNDS, **columns: Any) -> dict[str, Any]:
    """What the ledger does with a cell whose every round has one rate."""
    rounds: list[dict[str, Any]] = []
    row: dict[str, Any] = {
        "trial_key": cell.key, "items_per_step": 1, "throughput_items_per_s": rate, "step_median_s": 1 / rate,
        "status": "complete", **columns,
    }  # fmt: skip
    for number in range(n_rounds):
        rounds.append({"round": number, "seconds": 1.0, "items": rate, "throughput_items_per_s": rate})
        stop = chooser.report(cell, Message(trial_key=cell.key, row=row, is_final=number == n_rounds - 1), rounds)
        if stop:
            row.update(status="pruned", **stop)
            break
    chooser.close(cell, row, rounds, [])
    chooser.recorded(cell, row, rounds)
    return {**row, "rounds": rounds}


def run_all(chooser: Any) -> list[dict[str, Any]]:
    rows = []
    while isinstance(cell := chooser.next_cell(), TrialConfig):
        rows.append({**run_cell(chooser, cell, speed(cell)), "cell": cell})
    return rows


def test_the_order_spans_a_stratum_early_and_loses_no_cell() -> None:
    cells = GRID.cells()[:5]
    assert [c.batch_size for c in spread(cells)] == [4, 16, 1, 2, 8]
    for n in range(1, 30):
        many = [dataclasses.replace(cells[0], batch_size=i + 1) for i in range(n)]
        assert sorted(c.batch_size for c in spread(many)) == list(range(1, n + 1))


def test_poor_cells_are_pruned_and_the_best_is_kept_on_each_device(tmp_path: Path) -> None:
    rows = run_all(GridStudies(GRID.cells(), GRID, StudyBook(tmp_path)))
    assert len(rows) == 10
    for device in ("cpu", "fast"):
        of_device = {r["cell"].batch_size: r["status"] for r in rows if r["cell"].device == device}
        assert of_device[4] == "complete", "the best of its own device, however slow the device"
        assert of_device[1] == "pruned"
    pruned = next(r for r in rows if r["status"] == "pruned")
    assert pruned["pruned_on"] == "throughput"
    assert pruned["pruned_at_round"] == 1, "after the second round, by n_warmup_steps=2"
    assert "best 40" in pruned["pruned_against"]
    assert "batch 4" in pruned["pruned_against"]


def test_wilcoxon_judges_single_rounds_and_tells_medians(tmp_path: Path) -> None:
    config = dataclasses.replace(GRID, device=("cpu",), pruning=PruningConfig(pruner="wilcoxon"))
    chooser, reasons = GridStudies(config.cells(), config, StudyBook(tmp_path)), []
    for base in (40.0, 10.0):
        cell = chooser.next_cell()
        assert isinstance(cell, TrialConfig)
        row: dict[str, Any] = {"trial_key": cell.key, "items_per_step": 1, "status": "complete"}
        rounds: list[dict[str, Any]] = []
        for number, factor in enumerate((1.0, 3.0, 1.1, 0.2, 1.05, 1.02)):
            rounds.append({"round": number, "seconds": 1.0, "items": 1, "throughput_items_per_s": base * factor})
            row["throughput_items_per_s"] = base
            stop = chooser.report(cell, Message(trial_key=cell.key, row=row, is_final=number == 5), rounds)
            if stop:
                row.update(status="pruned", **stop)
                reasons.append(stop["status_reason"])
                break
        chooser.close(cell, row, rounds, [])
        chooser.recorded(cell, row, rounds)
    assert reasons == ["wilcoxon: 10.5 items/s after 4 rounds; best 42 items/s of cpu fp32 batch 4 m"]


def test_the_study_file_agrees_with_the_rows(tmp_path: Path) -> None:
    rows = run_all(GridStudies(GRID.cells(), GRID, StudyBook(tmp_path)))
    storage = f"sqlite:///{tmp_path / STUDY_FILE}"
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    for name in {stratum_of(c) for c in GRID.cells()}:
        study = optuna.load_study(study_name=name, storage=storage)
        of_study = {r["study_trial"]: r for r in rows if r["study_name"] == name}
        assert sorted(of_study) == [t.number for t in study.trials]
        for trial in study.trials:
            row = of_study[trial.number]
            assert trial.state.name == states[row["status"]]
            assert trial.user_attrs["trial_key"] == row["trial_key"]
            assert trial.params["batch_size"] == row["cell"].batch_size
            assert trial.value == pytest.approx(speed(row["cell"]))
        assert study.best_params["batch_size"] == 4


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The statuses of the grid, run from its first cell to its last."""
    rows = run_all(GridStudies(GRID.cells(), GRID, StudyBook(tmp_path_factory.mktemp("whole"))))
    return {row["trial_key"]: row["status"] for row in rows}


@pytest.mark.parametrize("n_done", range(11))
def test_a_resumed_study_prunes_as_if_never_stopped(never_stopped: dict[str, str], tmp_path: Path, n_done: int) -> None:
    first, done = GridStudies(GRID.cells(), GRID, StudyBook(tmp_path)), []
    for _ in range(n_done):
        cell = first.next_cell()
        assert isinstance(cell, TrialConfig)
        done.append({**run_cell(first, cell, speed(cell)), "cell": cell})
    if n_done < 10:
        first.next_cell()  # was running when the driver was killed
    rest = run_all(GridStudies(GRID.cells(), GRID, StudyBook(tmp_path), done))
    assert {r["trial_key"]: r["status"] for r in [*done, *rest]} == never_stopped
    assert len(done) + len(rest) == 10


def test_a_row_that_the_study_file_missed_is_added_when_the_sweep_resumes(tmp_path: Path) -> None:
    book = StudyBook(tmp_path)
    chooser = GridStudies(GRID.cells(), GRID, book)
    cell = chooser.next_cell()
    assert isinstance(cell, TrialConfig)
    row = {**cell_columns(cell), "status": "complete", "throughput_items_per_s": 40.0}
    chooser.close(cell, row, [], [])  # recorded in Parquet, and then the driver died
    rounds = {cell.key: [{"round": 0, "seconds": 1.0, "items": 40, "throughput_items_per_s": 40.0}]}
    assert book.trials(stratum_of(cell)) == []
    GridStudies(GRID.cells(), GRID, StudyBook(tmp_path), [row], rounds)
    (trial,) = StudyBook(tmp_path).study(stratum_of(cell), ["maximize"]).trials
    assert (trial.state.name, trial.value, trial.intermediate_values) == ("COMPLETE", 40.0, {1: 40.0})


def test_a_failed_cell_is_fail_in_the_study(tmp_path: Path) -> None:
    book = StudyBook(tmp_path)
    chooser = GridStudies(GRID.cells(), GRID, book)
    cell = chooser.next_cell()
    assert isinstance(cell, TrialConfig)
    run_cell(chooser, cell, 40.0, n_rounds=0, status="oom")
    (trial,) = book.trials(stratum_of(cell))
    assert trial.state.name == "FAIL"
    assert trial.user_attrs["status"] == "oom"


def searching(**changes: Any) -> SweepConfig:
    search = SearchConfig(
        **{"sampler": "tpe", "n_trials": 12, "ranges": {"batch_size": Range(low=1, high=1024, scale="log2")}, **changes}
    )
    return dataclasses.replace(GRID, device=("cpu",), pruning=PruningConfig(), search=search)


def test_a_search_space_has_the_ranges_and_the_categories() -> None:
    config = dataclasses.replace(searching(), precision=("fp32", "bf16"))
    space = search_space(config)
    assert set(space) == {"precision", "batch_size_log2"}
    cell = cell_of(config.tasks()[0], {"precision": "bf16", "batch_size_log2": 5})
    assert (cell.batch_size, cell.precision) == (32, "bf16")


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_a_search_measures_no_cell_twice_and_finds_the_best(tmp_path: Path, sampler: str) -> None:
    pytest.importorskip("torch")
    # Some proposals come twice; of the last cells of a space nearly all would, with a Gaussian process fitted to each.
    ranges = {"batch_size": Range(low=1, high=4096, scale="log2")}
    config = searching(sampler=sampler, n_trials=11, ranges=ranges)
    chooser, seen = SearchStudies(config, StudyBook(tmp_path)), []
    while isinstance(cell := chooser.next_cell(), TrialConfig):
        seen.append(cell.batch_size)
        run_cell(chooser, cell, 100.0 - abs(cell.batch_size - 64))
    assert len(seen) == len(set(seen))
    assert set(seen) <= {2**i for i in range(13)}
    assert 64 in seen
    assert "batch 64" in chooser.summary()[1]


def test_a_search_heeds_its_limits(tmp_path: Path) -> None:
    config = dataclasses.replace(searching(n_trials=11), limits=Limits(max_latency_ms=20.0))
    chooser = SearchStudies(config, StudyBook(tmp_path))
    while isinstance(cell := chooser.next_cell(), TrialConfig):
        run_cell(chooser, cell, float(cell.batch_size), step_median_s=cell.batch_size * 1e-3)
    assert "batch 16" in chooser.summary()[1], "the fastest within 20 ms"
    study = StudyBook(tmp_path).study(config_name(config), ["maximize"])
    assert study.best_trial.params["batch_size_log2"] == 4


@pytest.mark.parametrize("objectives", [("throughput",), ("throughput", "latency")])
def test_a_search_in_which_nothing_holds_the_limits_says_so(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    config = dataclasses.replace(searching(n_trials=3, objectives=objectives), limits=Limits(max_latency_ms=0.1))
    chooser = SearchStudies(config, StudyBook(tmp_path))
    while isinstance(cell := chooser.next_cell(), TrialConfig):
        run_cell(chooser, cell, 1.0, step_median_s=1.0)
    assert chooser.summary()[0].endswith(" none, as none of the 3 cells measured meets the limits")


def config_name(config: SweepConfig) -> str:
    from sweeps.plan.config import task_of

    return task_of(config.tasks()[0])


def test_several_objectives_give_the_pareto_front(tmp_path: Path) -> None:
    config = searching(n_trials=11, objectives=("throughput", "latency"))
    chooser = SearchStudies(config, StudyBook(tmp_path))
    while isinstance(cell := chooser.next_cell(), TrialConfig):
        run_cell(chooser, cell, float(min(cell.batch_size, 8)), step_median_s=cell.batch_size * 1e-3)
    front = [line for line in chooser.summary() if line.startswith("  cpu")]
    assert {line.split("batch ")[1].split(" ")[0] for line in front} == {"1", "2", "4", "8"}


def test_a_search_resumes_without_repeating(tmp_path: Path) -> None:
    config = searching(n_trials=8)
    chooser, first = SearchStudies(config, StudyBook(tmp_path)), []
    for _ in range(5):
        cell = chooser.next_cell()
        assert isinstance(cell, TrialConfig)
        first.append(cell.key)
        run_cell(chooser, cell, 1.0)
    again, second = SearchStudies(config, StudyBook(tmp_path)), []
    while isinstance(cell := again.next_cell(), TrialConfig):
        second.append(cell.key)
        run_cell(again, cell, 1.0)
    assert len(second) == 3
    assert not set(first) & set(second)


def test_configurations_survive_json() -> None:
    import json

    config = dataclasses.replace(searching(), limits=Limits(min_accuracy=0.5))
    assert SweepConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_a_cell_may_be_given_up_after_one_round(tmp_path: Path) -> None:
    halving = PruningConfig(pruner="successive-halving", parameters={"min_resource": 1, "reduction_factor": 2})
    config = dataclasses.replace(GRID, pruning=halving)
    rows = run_all(GridStudies(GRID.cells(), config, StudyBook(tmp_path)))
    early = [row for row in rows if row.get("pruned_at_round") == 0]
    assert early
    assert all(" after 1 round; best " in row["status_reason"] for row in early)


def test_a_training_is_not_given_up_for_what_chance_made_of_its_first_epoch(tmp_path: Path) -> None:
    """Ten classes: accuracies like those with which an H200's cells were given up after their first round."""
    pruning = pruning_config(SearchOptions(), Finetune.defaults)
    config = SweepConfig(
        workload="finetune",
        device=("cpu",),
        batch_size=(32, 64, 128),
        precision=("fp32",),
        model=("m",),
        pruning=pruning,
    )
    chooser, ends = GridStudies(config.cells(), config, StudyBook(tmp_path)), []
    for first in (0.144, 0.142, 0.097):
        cell, rounds, stop = chooser.next_cell(), [], None
        assert isinstance(cell, TrialConfig)
        row: dict[str, Any] = {
            "trial_key": cell.key, "items_per_step": cell.batch_size, "status": "complete", "accuracy_best": 0.8
        }  # fmt: skip
        for number, accuracy in enumerate((first, first + 0.05, 0.4, 0.6, 0.8, 0.9 - first)):
            rounds.append({"round": number, "seconds": 1.0, "items": 1, "accuracy": accuracy})
            stop = stop or chooser.report(cell, Message(trial_key=cell.key, row=row, is_final=number == 5), rounds)
        chooser.close(cell, row, rounds, [])
        chooser.recorded(cell, row, rounds)
        ends.append(stop)
    assert ends == [None, None, None]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The study's file as another program locks it."""
    other = sqlite3.connect(folder / STUDY_FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


def test_a_locked_study_costs_no_cell_and_gets_its_trials_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_study, "LOCKED_S", 0.02)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # Optuna tries five times, with seconds between
    config = dataclasses.replace(GRID, device=("cpu",), batch_size=(1, 2, 4))
    chooser = GridStudies(config.cells(), config, StudyBook(tmp_path))
    name = stratum_of(config.cells()[0])
    with locked(tmp_path):
        rows = [run_cell(chooser, chooser.next_cell(), 1.0) for _ in range(2)]
        assert chooser.summary() == ["study.db lacks 2 cells, which resuming adds: database is locked"]
        with pytest.raises(OSError, match=r"study\.db cannot be opened: database is locked"):
            StudyBook(tmp_path)
    assert [row["study_trial"] for row in rows] == [0, 1]
    run_cell(chooser, chooser.next_cell(), 1.0)
    assert chooser.summary() == []
    assert len(StudyBook(tmp_path).study(name, ["maximize"]).trials) == 3


@pytest.mark.parametrize("name", ["run ?x=2", "a#b", "50%25", "{x}", "a b", "ä", "plain", "https:", "a&b;c"])
def test_a_study_lies_in_its_sweeps_folder_whatever_that_is_called(name: str, tmp_path: Path) -> None:
    for folder in (tmp_path / name, tmp_path / f"{name}3"):
        folder.mkdir()
        StudyBook(folder).study("s", ["maximize"])
        assert [file.name for file in folder.iterdir()] == [STUDY_FILE]
        assert optuna.load_study(study_name="s", storage=sqlite_url(folder / STUDY_FILE)).trials == []
    assert len(list(tmp_path.iterdir())) == 2
