"""Whole sweeps with real Ray on real input, in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.whole.driving import kept, start, wait_for_rows

GRID = ["--pipeline", "resize", "sobel", "--batch-size", "1", "2", "4", "8", "--precision", "fp32", "tf32",
        "--device", "cpu", "--min-rounds", "2", "--min-s", "0.1", "--max-s", "0.2"]  # fmt: skip
N_CELLS = 16


def rows_of(results: Path) -> pd.DataFrame:
    (sweep,) = [p for p in results.iterdir() if p.is_dir()]
    return pd.read_parquet(sweep / "trials")


def every_cell_is_one_row(results: Path, said: str) -> None:
    rows = rows_of(results)
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
    assert rows.loc[rows["status"] == "unsupported", "status_reason"].str.contains("tf32").all()
    assert "16 cells: 8 complete, 8 unsupported" in said
    samples = pd.read_parquet(next(results.iterdir()) / "samples")
    assert set(samples["phase"]) == {"warmup", "measure"}
    assert set(samples["trial_key"]) == set(complete["trial_key"])


@pytest.mark.slow
def test_a_sweep_ended_by_ctrl_c_and_then_killed_resumes_with_only_what_is_missing(accelsweep, tmp_path: Path) -> None:
    results = tmp_path / "out"
    on_one_cpu = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if shutil.which("taskset") else []
    process = start(tmp_path, "image-processing", *GRID, "--output", "out", "--no-report", under=on_one_cpu)
    wait_for_rows(results, 2, process)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    (sweep,) = results.iterdir()
    assert f"--resume {sweep.name}" in out
    assert out.count("interrupted: finished cells are kept") == 1
    assert "Traceback" not in out
    first = rows_of(results)
    assert 2 <= len(first) < N_CELLS
    if on_one_cpu:
        assert (first.loc[first["status"] == "complete", "n_threads"] == 1).all(), "no more threads than usable CPUs"

    resume = ["image-processing", "--resume", sweep.name, "--output", "out"]
    process = start(tmp_path, *resume, "--no-report")
    wait_for_rows(results, 2, process, beyond=len(first))
    process.kill()
    process.communicate()
    second = rows_of(results)
    assert kept(first, second), "cells done before are not measured again"
    assert len(first) + 2 <= len(second) < N_CELLS

    ended = accelsweep(*resume)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = rows_of(results)
    assert kept(second, rows), "cells done before are not measured again"
    assert rows.loc[~rows["trial_key"].isin(second["trial_key"]), "worker_pid"].nunique() == 1, (
        "a clean worker is reused"
    )
    every_cell_is_one_row(results, ended.stdout)
    assert (sweep / "report.md").is_file()


def test_a_dry_run_prints_the_grid_and_writes_nothing(accelsweep, tmp_path: Path) -> None:
    ended = accelsweep("image-processing", *GRID, "--dry-run", "--output", "out")
    assert ended.returncode == 0
    assert f"{N_CELLS} cells" in ended.stdout
    assert not (tmp_path / "out").exists()


def test_the_budget_says_which_cells_it_left(accelsweep, tmp_path: Path) -> None:
    ended = accelsweep("image-processing", *GRID, "--output", "out", "--budget", "0.1s")
    assert ended.returncode == 1
    assert "16 missing" in ended.stdout
    assert "the budget left out" in ended.stdout
