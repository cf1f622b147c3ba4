"""What a workload can do to its own process, for real: each fault is one row, the next cell runs, and nobody is left.

What raises in a cell is a row without Ray as well (``tests/sweeps/cell``); here is what ends a process, or keeps it. And at
last Ctrl-C, which ends the sweep.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.whole.faulty.faults import Faulted, in_own_mounts

ENDINGS = {
    "none": "complete", "wrong": "error", "right": "complete", "segfault": "crashed", "hang": "timeout",
    "stop": "timeout", "fork": "complete", "fork-exit": "crashed", "eat": "oom", "last": "complete",
}  # fmt: skip
CGROUP = Path("/sys/fs/cgroup/memory")
LIMIT_BYTES = 2 * 2**30
"""Less than a third of what Ray would take for its objects alone on this machine."""


@pytest.fixture
def in_little_memory() -> Iterator[list[str]]:
    """A prefix that runs a command without /dev/shm and in a control group; empty where only others may make them."""
    group = CGROUP / f"accelsweep-test-{os.getpid()}"
    try:
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            raise OSError("only root on Linux changes what is mounted")
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(LIMIT_BYTES))
    except OSError:
        yield []
        return
    hide = in_own_mounts("mount --make-rprivate /", "mount -t tmpfs tmpfs /dev", "mknod -m 666 /dev/null c 1 3",
                         "mknod -m 666 /dev/urandom c 1 9", "mknod -m 666 /dev/zero c 1 5")  # fmt: skip
    yield [*hide, "sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    for pid in (group / "cgroup.procs").read_text().split():
        (CGROUP / "cgroup.procs").write_text(pid)
    group.rmdir()


@pytest.mark.slow
def test_every_fault_is_one_row_and_the_next_cell_runs_until_ctrl_c(
    in_little_memory: list[str], tmp_path: Path
) -> None:
    expected = {fault: status for fault, status in ENDINGS.items() if in_little_memory or fault != "eat"}
    sweep = Faulted(tmp_path, "--fault", *expected, "wait", "--trial-timeout", "8s")
    driver = sweep.start(prefix=in_little_memory).pid
    sweep.wait_for_rows(len(expected))
    os.killpg(driver, signal.SIGINT)  # to the whole group, as terminals send Ctrl-C
    assert sweep.wait() == 130, sweep.said
    assert sweep.said.count("interrupted: finished cells are kept") == 1
    assert sweep.said.count(f"continue with: accelsweep faulty --resume {sweep.sweep.name}") == 1
    assert not sweep.orphans()
    rows = sweep.rows().set_index("fault")
    assert rows["status"].to_dict() == expected, "the cell that ran is left for the resume"
    oom = "1 oom, " if in_little_memory else ""
    assert f"{len(expected) + 1} cells: 4 complete, 2 crashed, 1 error, {oom}2 timeout" in sweep.said
    assert rows.loc["wrong", "status_reason"] == "wrong-result"
    assert rows.loc[["none", "wrong", "right"], "worker_pid"].nunique() == 1, "a wrong answer harms no process"
    assert "Traceback" not in sweep.said
    assert "(raylet)" not in sweep.said, "Ray's own words of a dead worker"
    assert not in_little_memory or "/dev/shm has 0 MB free" in sweep.said
    assert rows.loc["hang", "status_reason"] == "over --trial-timeout 8 s"
    assert rows.loc["fork-exit", "wall_s"] < 8, "seen although its children hold its sockets, not timed out"
    assert rows.loc["last", "worker_pid"] != rows.loc["none", "worker_pid"], "a worker that ended badly is replaced"
    assert rows.loc["none", "input_source"] == "none", "its worker imports nothing that it has no use for"
    measured = rows.loc[["none", "fork", "last"], "throughput_items_per_s"]
    assert measured.notna().all()
