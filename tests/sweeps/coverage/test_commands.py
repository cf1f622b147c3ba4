"""The commands as a user runs them: bad usage, a sweep resumed after losing rows, a model asked about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parent.parent.parent.parent


def accelsweep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "sweeps" / "run.py"), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False, env=dict(os.environ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("op-coverage", "--dtype", "fp8"), "--dtype: 'fp8' is not one of fp32, fp16, bf16, int8, uint8"),
        (("op-coverage", "--device", "tpu"), "--device: 'tpu' is not on this machine"),
        (("op-coverage", "--max-samples", "0"), "--max-samples: 0 is under 1"),
        (("op-coverage", "--resume", "nosuch"), "no coverage sweep 'nosuch'"),
        (("op-coverage", "--operation-timeout", "soon"), "'soon' is no duration"),
        (("can-run", "resnet81"), "'resnet81' is not in torchvision's zoo; near it: resnet"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = accelsweep(tmp_path, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_that_lost_rows_is_resumed_to_the_same_cells(tmp_path: Path) -> None:
    done = accelsweep(tmp_path, "op-coverage", "--device", "cpu", "--source", "transforms", "--ops", "rotate_image",
                      "horizontal_flip_image", "--dtype", "fp32", "uint8")  # fmt: skip
    assert done.returncode == 0, done.stderr
    sweep = next((tmp_path / "results").glob("*-op-coverage"))
    joined = sweep / "operations" / "all-000001.parquet"
    table = pq.read_table(joined)
    rows = {(r["operation"], r["dtype"], r["direction"]): r for r in table.to_pylist()}
    assert len(rows) == 6
    assert {r["verdict"] for r in rows.values()} == {"supported"}
    assert rows["rotate_image", "uint8", "forward"]["timing_elements"] is not None
    assert (sweep / "report_coverage.md").is_file()

    keep = [i for i, r in enumerate(table.to_pylist()) if r["operation"] != "rotate_image"]
    pq.write_table(table.take(keep), joined)
    again = accelsweep(tmp_path, "op-coverage", "--resume", sweep.name)
    assert again.returncode == 0, again.stderr
    assert "2 of 4 cells" in again.stdout
    found = [r for file in (sweep / "operations").glob("*.parquet") for r in pq.read_table(file).to_pylist()]
    assert {(r["operation"], r["dtype"], r["direction"]) for r in found} == set(rows)
    assert len(found) == len(rows)


def test_a_model_that_runs_here_is_said_to_run(tmp_path: Path) -> None:
    done = accelsweep(tmp_path, "can-run", "squeezenet1_1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "squeezenet1_1 on cpu in fp32" in done.stdout
    assert "runs and agrees with the CPU in fp64" in done.stdout
    assert "executed" in done.stdout
