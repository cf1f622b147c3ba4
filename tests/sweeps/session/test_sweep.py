"""Sweeps from their options to their exit code, in this process: new, ended early, gone on with, and refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from sweeps.commands import main
from sweeps.scheduling.endings import Interrupted, SweepLostError
from tests.sweeps.session.without_ray import QUICK, put_loop, put_tiny, raising, rows_of, sweep_id

Say = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tiny(tmp_path, monkeypatch)


def swept(*arguments: str) -> int:
    return main(["tiny", *QUICK, *arguments])


def test_every_cell_of_the_grid_is_run_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    loop = put_loop(monkeypatch)
    assert swept("--batch-size", "1", "2", "--does", "fine", "lack in setup") == 0
    rows = rows_of(tmp_path / "results")
    assert loop.n_ended == len(rows) == 4
    assert sorted(zip(rows["batch_size"], rows["status"], strict=True)) == [
        (1, "complete"), (1, "unsupported"), (2, "complete"), (2, "unsupported"),
    ]  # fmt: skip
    assert rows["trial_index"].sort_values().tolist() == [0, 1, 2, 3]
    assert set(rows["sweep_id"]) == {sweep_id(tmp_path / "results")}
    out = capsys.readouterr().out
    assert "tiny: 4 cells on cpu; results in results/" in out
    assert "4 cells: 2 complete, 2 unsupported" in out
    described = json.loads((tmp_path / "results" / sweep_id(tmp_path / "results") / "sweep.json").read_text())
    assert described["command"][:2] == ["accelsweep", "tiny"]


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        (Interrupted(), 130, "continue with: "),
        (KeyboardInterrupt(), 130, "continue with: "),
        (SweepLostError("Ray's raylet died"), 1, "ended early: Ray's raylet died; 1 cell kept (listed above); continue with: "),
        (OSError(errno.ENOSPC, "No space left on device"), 1,
         "ended early: results cannot be written (No space left on device); 1 cell kept (listed above); continue with: "),
    ],
    ids=["a signal", "a second signal", "Ray is lost", "the disk is full"],
)  # fmt: skip
def test_whatever_ends_a_sweep_early_its_cells_are_kept_and_it_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say, end: BaseException, code: int, told: str
) -> None:
    put_loop(monkeypatch, {1: raising(end)})
    assert swept("--batch-size", "1", "2", "4", "--output", "a folder") == code
    name = sweep_id(tmp_path / "a folder")
    lines = capsys.readouterr().out.splitlines()
    assert f"{told}accelsweep tiny --resume {name} --output 'a folder'" in lines
    assert "3 cells: 1 complete, 2 missing" in lines
    assert not any("budget" in line for line in lines)
    before = rows_of(tmp_path / "a folder").set_index("batch_size")["started_at"]
    assert list(before.index) == [1]

    loop = put_loop(monkeypatch)
    assert main(["tiny", "--resume", name, "--output", "a folder", "--no-report"]) == 0
    assert loop.n_ended == 2, "only what is missing"
    rows = rows_of(tmp_path / "a folder").set_index("batch_size")
    assert sorted(rows.index) == [1, 2, 4]
    assert rows.loc[1, "started_at"] == before[1]
    out = capsys.readouterr().out
    assert "tiny: 2 of 3 cells on cpu" in out
    assert "3 cells: 3 complete" in out


def test_a_spent_budget_names_the_cells_that_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch)
    assert swept("--batch-size", "1", "2", "--budget", "0.000001s") == 1
    out = capsys.readouterr().out
    assert "2 cells: none measured, 2 missing" in out
    assert "not measured within the budget: " in out
    assert f"continue with: accelsweep tiny --resume {sweep_id(tmp_path / 'results')}" in out
    put_loop(monkeypatch)


def test_failed_cells_are_measured_again_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch)
    assert swept("--does", "fine", "fail in step", "fill memory in step") == 1
    resume = ["tiny", "--resume", sweep_id(tmp_path / "results"), "--no-report"]
    again = put_loop(monkeypatch)
    assert main(resume) == 1
    assert again.n_ended == 0
    assert main([*resume, "--retry-failed"]) == 1
    assert again.n_ended == 1, "the one that failed, not the one that the memory is too small for"
    assert sorted(rows_of(tmp_path / "results")["status"]) == ["complete", "error", "oom"]
    assert "3 cells: 1 complete, 1 error, 1 oom" in capsys.readouterr().out


def test_a_dry_run_lists_what_would_be_measured_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    loop = put_loop(monkeypatch, {1: raising(Interrupted())})
    assert swept("--batch-size", "1", "2", "--dry-run") == 0
    assert "2 cells of tiny" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    assert swept("--batch-size", "1", "2") == 130
    files = sorted(p for p in (tmp_path / "results").rglob("*") if p.is_file())
    before = [p.read_bytes() for p in files]
    capsys.readouterr()
    assert main(["tiny", "--resume", sweep_id(tmp_path / "results"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "batch 2" in out
    assert "batch 1" not in out, "it is measured already"
    assert loop.n_ended == 1
    assert sorted(p for p in (tmp_path / "results").rglob("*") if p.is_file()) == files
    assert [p.read_bytes() for p in files] == before


def test_what_cannot_be_gone_on_with_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch)
    assert swept() == 0
    name = sweep_id(tmp_path / "results")
    description = tmp_path / "results" / name / "sweep.json"
    described = json.loads(description.read_text())
    capsys.readouterr()

    def refused(workload: str = "tiny") -> str:
        assert main([workload, "--resume", name]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert f"--resume: '{name}' is a sweep of tiny, not of inference" in refused("inference")
    (tmp_path / "results" / name / "SHA256SUMS").unlink()  # what is written by hand below has no digest
    description.write_text(json.dumps({**described, "merged_from": [{"sweep_id": "a"}, {"sweep_id": "b"}]}))
    assert f"--resume: '{name}' is a merged sweep; resume the sweeps it was merged from: a, b" in refused()
    for change in ({"config": {}}, {"cells": [{}]}, {"config": None}):
        description.write_text(json.dumps({**described, **change}))
        assert f"--resume: '{name}': its sweep.json does not say what was to be measured" in refused()


def test_a_damaged_file_is_named_and_its_cell_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch)
    assert swept() == 0
    sweep = tmp_path / "results" / sweep_id(tmp_path / "results")
    (part,) = (sweep / "trials").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    capsys.readouterr()
    loop = put_loop(monkeypatch)
    assert main(["tiny", "--resume", sweep.name, "--no-report"]) == 0
    assert loop.n_ended == 1
    out = capsys.readouterr().out
    assert f"damaged: trials/{part.name} is not what was written; it was moved to" in out
    assert "1 cell: 1 complete" in out
    assert rows_of(tmp_path / "results")["status"].tolist() == ["complete"]


def test_energy_is_no_objective_where_no_counter_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    import torch

    from sweeps.measure.monitors.energy_sources import open_energy_source

    if open_energy_source(torch.device("cpu")).read_j() is not None:
        pytest.skip("this machine's processor counts its energy")
    put_loop(monkeypatch)
    for option, arguments in (
        ("--objective", ("--search", "tpe", "--trials", "2", "--objective", "energy_per_item")),
        ("--prune-on", ("--pruner", "median", "--prune-on", "energy_per_item")),
    ):
        assert swept(*arguments, "--batch-size", "1", "2") == 2
        told = capsys.readouterr().err
        assert told.startswith(f"accelsweep: error: {option}: 'energy_per_item' cannot be measured on cpu here")
        assert told.count("\n") == 1
    assert not (tmp_path / "results").exists()
