"""The end of a sweep: what is printed and with which exit code, of stores whose cells are all recorded."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.commands import main
from sweeps.plan.config import SweepConfig
from sweeps.session.summary import command_line
from sweeps.store.rows import cell_columns, samples_table
from sweeps.store.store import ResultStore
from sweeps.text import sqlite_url

Say = pytest.CaptureFixture[str]


def recorded(folder: Path, *rows: dict[str, Any], workload: str = "image-processing", **values: Any) -> Path:
    """A sweep whose cells, of batch sizes 1, 2, 4 and on, have ended as the rows say; the folder of all results."""
    axes = {"pipeline": ("resize",)} if workload == "image-processing" else {}
    plain: dict[str, Any] = {"device": ("cpu",), "precision": ("fp32",), "model": ("m",)}
    config = SweepConfig(
        workload=workload, batch_size=tuple(2**i for i in range(len(rows))), option_axes=axes, **{**plain, **values}
    )
    store = ResultStore.create(folder / "out" / "s1", config, config.cells(), ["accelsweep"])
    for cell, row in zip(config.cells(), rows, strict=True):
        blocks = [("measure", 0, np.array([0.1, 0.2]), None)]
        full = {**cell_columns(cell), "status": "complete", "item": "images", "host": "h", "wall_s": 1.0, **row}
        store.record(full, samples_table(cell.key, blocks), [])
    return folder / "out"


def summed_up(results: Path, *arguments: str, workload: str = "image-processing") -> int:
    """The exit code of going on with a sweep that has nothing left."""
    return main([workload, "--resume", "s1", "--output", str(results), *arguments])


@pytest.mark.parametrize(
    ("statuses", "code", "told"),
    [
        (("complete", "complete"), 0, "2 cells: 2 complete"),
        (("complete", "unsupported"), 0, "2 cells: 1 complete, 1 unsupported"),
        (("complete", "pruned"), 0, "2 cells: 1 complete, 1 pruned"),
        (("complete", "oom"), 1, "2 cells: 1 complete, 1 oom"),
        (("complete", "crashed"), 1, "2 cells: 1 complete, 1 crashed"),
        (("error", "timeout"), 1, "2 cells: 1 error, 1 timeout"),
        (("oom",), 1, "1 cell: 1 oom"),
    ],
)
def test_how_many_cells_ended_how_decides_the_exit_code(
    tmp_path: Path, capsys: Say, statuses: tuple[str, ...], code: int, told: str
) -> None:
    results = recorded(tmp_path, *({"status": status} for status in statuses))
    assert summed_up(results, "--no-report") == code
    lines = capsys.readouterr().out.splitlines()
    assert told in lines
    assert not any(line.startswith(("go on with", "ended early", "report")) for line in lines)


def test_the_fastest_cell_of_each_device_is_named(tmp_path: Path, capsys: Say) -> None:
    speeds = ({"throughput_items_per_s": 10.0}, {"throughput_items_per_s": 40.0}, {"throughput_items_per_s": 30.0},
              {"throughput_items_per_s": 90.0, "status": "pruned"})  # fmt: skip
    assert summed_up(recorded(tmp_path, *speeds), "--no-report") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fastest")]
    assert "batch 2" in line
    assert "40" in line


def test_a_training_is_told_by_its_accuracy_too(tmp_path: Path, capsys: Say) -> None:
    rows = (
        {"throughput_items_per_s": 40.0, "accuracy_best": 0.9},
        {"throughput_items_per_s": 30.0, "accuracy_best": 0.95},
    )
    assert summed_up(recorded(tmp_path, *rows, workload="finetune"), "--no-report", workload="finetune") == 0
    lines = capsys.readouterr().out.splitlines()
    (accurate,) = [line for line in lines if line.startswith("most accurate")]
    assert "batch 2" in accurate
    assert "95" in accurate


def test_models_with_random_weights_are_named(tmp_path: Path, capsys: Say) -> None:
    rows = ({"weights": "random"}, {"weights": "imagenet"})
    assert summed_up(recorded(tmp_path, *rows, workload="inference"), "--no-report", workload="inference") == 0
    assert (
        "random weights (none available here): m; speeds are valid, answers are meaningless" in capsys.readouterr().out
    )


def test_the_report_is_written_and_named_unless_none_is_wanted(tmp_path: Path, capsys: Say) -> None:
    results = recorded(tmp_path, {"throughput_items_per_s": 40.0, "step_median_s": 0.025})
    assert summed_up(results, "--no-report") == 0
    assert not (results / "s1" / "report.md").exists()
    assert summed_up(results) == 0
    assert f"report: {results / 's1' / 'report.md'}" in capsys.readouterr().out.splitlines()
    assert (results / "s1" / "report.md").read_text().startswith("# image-processing")


def test_a_study_is_told_with_the_command_that_shows_it(tmp_path: Path, capsys: Say) -> None:
    results = recorded(tmp_path, {})
    (results / "s1" / "study.db").write_bytes(b"")
    assert summed_up(results, "--no-report") == 0
    assert f"study: optuna-dashboard sqlite:///{results / 's1' / 'study.db'}" in capsys.readouterr().out.splitlines()


def test_commands_can_be_pasted_whatever_the_results_folder_is_called(tmp_path: Path, capsys: Say) -> None:
    results = recorded(tmp_path / "run ?x=2 [red]$(touch oops) 'a' #b%20", {})
    (results / "s1" / "study.db").write_bytes(b"")
    assert summed_up(results, "--no-report") == 0
    (told,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("study: "))
    program, url = shlex.split(told.removeprefix("study: "))
    assert program == "optuna-dashboard"
    assert url == sqlite_url(results / "s1" / "study.db")
    assert "?x" not in url
    words = shlex.split(command_line("finetune", "s1", results))
    assert words == ["accelsweep", "finetune", "--resume", "s1", "--output", str(results)]
