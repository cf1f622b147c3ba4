"""The largest batch on an accelerator that shares the host's memory: up to what is recommended, not to its end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.fakegpu import environment
from tests.fakegpu.build import why_not
from tests.sweeps.conftest import Run

REASON = why_not()
MIB = 2**20
SHORT = ("--min-rounds", "1", "--min-s", "0.05", "--max-s", "0.1", "--no-report", "--no-recheck")


@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_the_largest_batch_is_found_before_the_machine_swaps(accelsweep: Run, tmp_path: Path) -> None:
    options = ("--batch-size", "auto", "--pipeline", "resize", "--device", "fakegpu")
    ended = accelsweep("image-processing", *SHORT, *options, **environment(FAKEGPU_BYTES=str(450 * MIB)))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = [pd.read_parquet(file) for file in tmp_path.glob("results/*/trials/[!._]*.parquet")]
    rows = pd.concat(found).set_index("batch_size").sort_index()
    assert set(rows["status"]) == {"complete"}, "1.7 times as much would have been given"
    assert (rows["device_peak_reserved_bytes"] <= 450 * MIB).all()
    (largest,) = rows.index[rows["search_role"].fillna("").str.contains("largest")]
    assert largest == rows.index.max()
    assert rows.loc[largest, "device_peak_reserved_bytes"] > 400 * MIB
