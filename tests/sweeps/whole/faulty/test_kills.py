"""``kill -9`` of the driver, of a worker and of Ray's raylet at random moments, three times each in one sweep's life."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.whole.driving import kept
from tests.sweeps.whole.faulty.faults import Faulted

N_CELLS = 40
KILLS = ("worker", "raylet", "worker", "driver", "raylet", "driver", "worker", "raylet", "driver")


@pytest.mark.slow
def test_no_row_is_lost_or_doubled_whoever_is_killed(tmp_path: Path) -> None:
    sweep = Faulted(tmp_path, "--cell", *(str(i) for i in range(N_CELLS)))
    moments, before = random.Random(8), pd.DataFrame()
    sweep.start()
    for number, what in enumerate(KILLS):
        sweep.wait_for_rows(len(before) + 1)
        sweep.kill(what, moments)
        if what == "worker":
            n = sweep.n_rows()
            sweep.wait_for_rows(n + 2)  # goes on with another worker
        else:
            code = sweep.wait(120)
            assert code == (1 if what == "raylet" else -9), sweep.said
            assert not sweep.orphans()
            assert "Traceback" not in sweep.said
            if what == "raylet":
                assert sweep.said.count(f"go on with: accelsweep faulty --resume {sweep.sweep.name}") == 1
        rows = sweep.rows()
        assert before.empty or kept(before, rows), f"after kill {number}, {what}"
        before = rows
        if what != "worker":
            sweep.start()
    code = sweep.wait()
    rows = sweep.rows()
    assert kept(before, rows)
    assert not sweep.orphans()
    counts = rows["status"].value_counts().to_dict()
    assert sum(counts.values()) == N_CELLS
    assert set(counts) <= {"complete", "crashed"}
    assert counts.get("crashed", 0) <= KILLS.count("worker")
    assert code == (1 if "crashed" in counts else 0)
    assert f"{N_CELLS} cells: {counts['complete']} complete" in sweep.said
