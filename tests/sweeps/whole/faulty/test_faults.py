"""What a workload can do to its own process, for real: each fault is one row, the next cell runs, and nobody is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.whole.faulty.faults import Faulted

ENDINGS = {
    "none": "complete", "wrong": "error", "right": "complete", "segfault": "crashed", "exit": "crashed", "hang": "timeout", "stop": "timeout",
    "fork": "complete", "fork-exit": "crashed", "limit": "oom",
    "too-much": "oom", "not-implemented": "unsupported", "mistake": "error", "last": "complete",
}  # fmt: skip


@pytest.mark.slow
def test_every_fault_is_one_row_and_the_next_cell_runs(tmp_path: Path) -> None:
    sweep = Faulted(tmp_path, "--fault", *ENDINGS, "--trial-timeout", "8s")
    assert sweep.run() == 1, sweep.said
    assert not sweep.orphans()
    rows = sweep.rows().set_index("fault")
    assert rows["status"].to_dict() == ENDINGS
    assert f"{len(ENDINGS)} cells: 4 complete, 3 crashed, 2 error, 2 oom, 2 timeout, 1 unsupported" in sweep.said
    assert rows.loc["wrong", "status_reason"] == "wrong-result"
    assert rows.loc[["none", "wrong", "right"], "worker_pid"].nunique() == 1, "a wrong answer harms no process"
    assert "Traceback" not in sweep.said
    assert "(raylet)" not in sweep.said, "Ray's own words of a dead worker"
    assert rows.loc["hang", "status_reason"] == "over --trial-timeout 8 s"
    assert rows.loc["fork-exit", "wall_s"] < 8, "seen although its children hold its sockets, not timed out"
    assert rows.loc["last", "worker_pid"] != rows.loc["none", "worker_pid"], "a worker that ended badly is replaced"
    mistake = rows.loc["mistake"]
    assert mistake["error_type"] == "KeyError"
    assert "no such thing" in mistake["error_message"]
    assert "faulty.py" in mistake["error_frames"]
    assert str(Path.home()) not in mistake["error_frames"]
    measured = rows.loc[["none", "fork", "last"], "throughput_items_per_s"]
    assert measured.notna().all()
