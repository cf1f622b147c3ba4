"""Whole sweeps with Ray on an accelerator that is told from its name by nobody, as an Apple GPU.

What does not need Ray, and the discrete one: ``tests/fakegpu/inside``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.fakegpu import NAME, environment
from tests.fakegpu.build import why_not
from tests.fakegpu.rows import SHORT, check, check_copies
from tests.sweeps.whole.several import run_several

REASON = why_not()


def rows_of(results: Path, table: str = "trials") -> pd.DataFrame:
    found = [pd.read_parquet(file) for file in sorted(results.glob(f"*/{table}/[!._]*.parquet"))]
    return pd.concat(found, ignore_index=True)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "images": ("image-processing", *SHORT, "--precision", "fp32", "--batch-size", "2", "--pipeline", "resize"),
    "coverage": ("op-coverage", "--device", NAME, "--dtype", "fp32", "--source", "database", "--ops", "addmm", "sort",
                 "nn.functional.batch_norm", "--no-timing", "--max-samples", "4", "--processes", "1"),
}  # fmt: skip


def a_coverage_sweep_tells_what_an_apple_gpu_lacks(rows: pd.DataFrame) -> None:
    told = rows.set_index(["operation", "direction"])
    assert (told.drop(index=("nn.functional.batch_norm", "forward"))["verdict"] == "supported").all()
    lacking = told.loc[("nn.functional.batch_norm", "forward")]
    assert lacking["verdict"] == "unsupported"
    assert "MPS framework doesn't support float64" in lacking["reason"]


@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_cells_and_coverage_run_and_what_an_apple_gpu_lacks_says_so(tmp_path: Path) -> None:
    ended = run_several(tmp_path, COMMANDS, environment("unified", OMP_NUM_THREADS="1"))
    assert ended["images"].code == 0, ended["images"]
    assert ended["coverage"].code in {0, 1}, ended["coverage"]
    rows = rows_of(tmp_path / "images")
    assert (rows["status"] == "complete").all(), rows[["status", "status_reason"]]
    check(rows, "unified")
    check_copies(rows, "unified")
    a_coverage_sweep_tells_what_an_apple_gpu_lacks(rows_of(tmp_path / "coverage", "operations"))
