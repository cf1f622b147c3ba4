"""Whole sweeps with real Ray on real input, in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.whole.driving import start, wait_for_rows

GRID = ["--pipeline", "resize", "sobel", "--batch-size", "1", "2", "4", "--precision", "fp32", "tf32",
        "--device", "cpu", "--min-rounds", "2", "--min-s", "0.2", "--max-s", "0.5"]  # fmt: skip
N_CELLS = 12


def rows_of(results: Path) -> pd.DataFrame:
    (sweep,) = [p for p in results.iterdir() if p.is_dir()]
    return pd.read_parquet(sweep / "trials")


def test_every_cell_ends_as_one_row_and_the_report_is_written(accelsweep, tmp_path: Path) -> None:
    ended = accelsweep("image-processing", *GRID, "--output", "out")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = rows_of(tmp_path / "out")
    assert len(rows) == N_CELLS == rows["trial_key"].nunique()
    assert rows.groupby("precision")["status"].unique().map(list).to_dict() == {
        "fp32": ["complete"],
        "tf32": ["unsupported"],
    }
    complete = rows[rows["status"] == "complete"]
    for column in (
        "throughput_items_per_s",
        "step_median_s",
        "peak_rss_bytes",
        "page_fault_bytes_per_step",
        "torch_version",
        "n_threads",
        "setup_s",
    ):
        assert complete[column].notna().all(), column
    assert (complete["n_rounds"] >= 2).all()
    assert rows["worker_pid"].nunique() == 1, "a clean worker is reused"
    assert rows.loc[rows["status"] == "unsupported", "status_reason"].str.contains("tf32").all()
    assert list((tmp_path / "out").glob("*/report.md"))
    assert "12 cells: 6 complete, 6 unsupported" in ended.stdout
    samples = pd.read_parquet(next((tmp_path / "out").iterdir()) / "samples")
    assert set(samples["phase"]) == {"warmup", "measure"}
    assert set(samples["trial_key"]) == set(complete["trial_key"])


@pytest.mark.slow
def test_a_sweep_killed_in_the_middle_resumes_with_only_what_is_missing(accelsweep, tmp_path: Path) -> None:
    on_one_cpu = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if shutil.which("taskset") else []
    process = start(tmp_path, "image-processing", *GRID, "--output", "out", under=on_one_cpu)
    wait_for_rows(tmp_path / "out", 3, process)
    process.kill()
    process.wait()
    rows = rows_of(tmp_path / "out")
    if on_one_cpu:
        assert (rows.loc[rows["status"] == "complete", "n_threads"] == 1).all(), "no more threads than usable CPUs"
    before = rows.set_index("trial_key")["started_at"]
    assert 3 <= len(before) < N_CELLS
    (sweep,) = (tmp_path / "out").iterdir()
    ended = accelsweep("image-processing", "--resume", sweep.name, "--output", "out")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    after = rows_of(tmp_path / "out").set_index("trial_key")["started_at"]
    assert len(after) == N_CELLS == after.index.nunique()
    assert (after[before.index] == before).all(), "cells done before are not measured again"


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_measured_and_says_how_to_go_on(tmp_path: Path) -> None:
    process = start(tmp_path, "image-processing", *GRID, "--output", "out")
    wait_for_rows(tmp_path / "out", 2, process)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    (sweep,) = (tmp_path / "out").iterdir()
    assert f"--resume {sweep.name}" in out
    assert out.count("interrupted: finished cells are kept") == 1
    assert "Traceback" not in out
    assert 2 <= len(rows_of(tmp_path / "out")) < N_CELLS


def test_a_dry_run_prints_the_grid_and_writes_nothing(accelsweep, tmp_path: Path) -> None:
    ended = accelsweep("image-processing", *GRID, "--dry-run", "--output", "out")
    assert ended.returncode == 0
    assert f"{N_CELLS} cells" in ended.stdout
    assert not (tmp_path / "out").exists()


def test_the_budget_says_which_cells_it_left(accelsweep, tmp_path: Path) -> None:
    ended = accelsweep("image-processing", *GRID, "--output", "out", "--budget", "0.1s")
    assert ended.returncode == 1
    assert "12 missing" in ended.stdout
    assert "the budget left out" in ended.stdout
