"""Whole sweeps with real Ray on real input."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sweeps.commands import main

GRID = ["--pipeline", "resize", "--batch-size", "1", "2", "--precision", "fp32", "tf32",
        "--device", "cpu", "--min-rounds", "1", "--min-s", "0.05", "--max-s", "0.1"]  # fmt: skip
N_CELLS = 4


def rows_of(results: Path) -> pd.DataFrame:
    (sweep,) = [p for p in results.iterdir() if p.is_dir()]
    return pd.read_parquet(sweep / "trials")


def every_cell_is_one_row(results: Path, said: str) -> None:
    rows = rows_of(results)
    assert len(rows) == N_CELLS + 1 == rows["trial_key"].nunique()
    (again,) = rows[rows["repeat"] == 2].to_dict("records")
    assert again["batch_size"] == 1
    assert again["worker_pid"] not in set(rows.loc[rows["repeat"] == 1, "worker_pid"]), "a fresh process"
    assert again["started_at"] == rows["started_at"].max(), "at the end"
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
    assert (complete["n_rounds"] >= 1).all(), "--max-s may end a cell before --min-rounds does"
    assert rows.loc[rows["status"] == "unsupported", "status_reason"].str.contains("tf32").all()
    assert "4 cells, 5 measurements: 3 complete, 2 unsupported" in said
    assert "[5/5] " in said
    samples = pd.read_parquet(next(results.iterdir()) / "samples")
    assert set(samples["phase"]) == {"warmup", "measure"}
    assert set(samples["trial_key"]) == set(complete["trial_key"])


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_every_cell_of_a_grid_is_one_row_and_the_report_is_written(
    shared_ray: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image-processing", *GRID, "--output", "out"]) == 0
    every_cell_is_one_row(tmp_path / "out", capsys.readouterr().out)
    (sweep,) = (tmp_path / "out").iterdir()
    assert "The first cell of cpu was measured again at the end" in (sweep / "report.md").read_text()


def test_a_dry_run_prints_the_grid_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image-processing", *GRID, "--dry-run", "--output", str(tmp_path / "out")]) == 0
    assert f"{N_CELLS} cells" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
