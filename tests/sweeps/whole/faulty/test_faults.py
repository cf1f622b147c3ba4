"""What a workload can do to its own process, for real: each fault is one row, the next cell runs, and nobody is left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.sweeps.whole.faulty.faults import Faulted

ENDINGS = {
    "none": "complete", "wrong": "error", "right": "complete", "segfault": "crashed", "exit": "crashed", "hang": "timeout", "stop": "timeout",
    "fork": "complete", "fork-exit": "crashed", "limit": "oom", "last": "complete",
}  # fmt: skip


@pytest.mark.slow
def test_every_fault_is_one_row_and_the_next_cell_runs(tmp_path: Path) -> None:
    sweep = Faulted(tmp_path, "--fault", *ENDINGS, "--trial-timeout", "8s")
    assert sweep.run() == 1, sweep.said
    assert not sweep.orphans()
    rows = sweep.rows().set_index("fault")
    assert rows["status"].to_dict() == ENDINGS
    assert f"{len(ENDINGS)} cells: 4 complete, 3 crashed, 1 error, 1 oom, 2 timeout" in sweep.said
    assert rows.loc["wrong", "status_reason"] == "wrong-result"
    assert rows.loc[["none", "wrong", "right"], "worker_pid"].nunique() == 1, "a wrong answer harms no process"
    assert "Traceback" not in sweep.said
    assert "(raylet)" not in sweep.said, "Ray's own words of a dead worker"
    assert rows.loc["hang", "status_reason"] == "over --trial-timeout 8 s"
    assert rows.loc["fork-exit", "wall_s"] < 8, "seen although its children hold its sockets, not timed out"
    measured = rows.loc[["none", "fork", "last"], "throughput_items_per_s"]
    assert measured.notna().all()


@pytest.mark.slow
def test_sigterm_and_sighup_end_a_sweep_as_ctrl_c_does_and_no_second_process_runs_it(tmp_path: Path) -> None:
    sweep = Faulted(tmp_path, "--cell", *(str(i) for i in range(30)))
    n = 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = sweep.start()
        sweep.wait_for_rows(n + 2)
        if number == signal.SIGTERM:
            second = subprocess.run(
                sweep.command("--resume", sweep.sweep.name), cwd=tmp_path, capture_output=True, text=True, check=False,
                env={**os.environ, "PYTHONPATH": sweep.environment["PYTHONPATH"]},
            )  # fmt: skip
            assert second.returncode == 2, second
            assert f"is being run by process {process.pid} on" in second.stderr
            assert second.stderr.count("\n") == 1
        os.killpg(process.pid, number)  # the whole group, as `timeout`, a terminal and service managers do
        assert sweep.wait() == 130, sweep.said
        assert sweep.said.count(f"go on with: accelsweep faulty --resume {sweep.sweep.name}") == 1
        assert "Traceback" not in sweep.said
        assert not sweep.orphans()
        rows = sweep.rows()
        assert n + 2 <= len(rows) < 30
        assert rows["status"].eq("complete").all(), "the cell that ran is left for the resume"
        n = len(rows)
