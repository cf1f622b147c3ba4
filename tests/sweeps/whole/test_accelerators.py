"""Whole sweeps on an accelerator that is told from its name by nobody, as an Apple GPU.

What does not need Ray, and the discrete one: ``tests/fakegpu/inside``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.fakegpu import NAME, environment
from tests.fakegpu.build import why_not
from tests.fakegpu.rows import INFERENCE, check_answered
from tests.sweeps.whole.several import run_several

REASON = why_not()


def rows_of(results: Path, table: str = "trials") -> pd.DataFrame:
    found = [pd.read_parquet(file) for file in sorted(results.glob(f"*/{table}/[!._]*.parquet"))]
    return pd.concat(found, ignore_index=True)


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "inference": INFERENCE,
    # Of what the CPU computes in half precision some is off by more than PyTorch allows, here as there.
    "coverage": ("op-coverage", "--smoke", "--device", NAME, "--dtype", "fp32", "--no-timing", "--max-samples", "4",
                 "--processes", "1"),
}  # fmt: skip


def a_coverage_sweep_tells_what_an_apple_gpu_lacks(rows: pd.DataFrame) -> None:
    assert (rows["verdict"] == "supported").mean() > 0.5
    assert set(rows["verdict"]) == {"supported", "unsupported"}
    assert rows["reason"].str.contains("MPS framework doesn't support float64").any()


@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_inference_and_coverage_agree_and_what_an_apple_gpu_lacks_says_so(tmp_path: Path) -> None:
    ended = run_several(tmp_path, COMMANDS, environment("unified"))
    assert ended["inference"].code == 0, ended["inference"]
    assert ended["coverage"].code in {0, 1}, ended["coverage"]
    check_answered(rows_of(tmp_path / "inference"), "unified")
    a_coverage_sweep_tells_what_an_apple_gpu_lacks(rows_of(tmp_path / "coverage", "operations"))
