"""Processes that outlive who started them, found by their mark and ended; real forks, no Ray."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sweeps.launch.leftovers import MARK, Marked, guarded
from tests.sweeps.conftest import ROOT

RUNAWAY = "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(600)\n"
DRIVER = f"""
import subprocess, sys, time
from sweeps.launch.leftovers import guarded
with guarded() as marked:
    subprocess.run([sys.executable, "-c", {RUNAWAY!r}])
    subprocess.Popen(["sleep", "600"])
    while len(marked.alive()) < 2:  # a child has its parent's mark until it runs its own command
        time.sleep(0.01)
    print(*(p.pid for p in marked.alive()), flush=True)
    time.sleep(600)
"""


def all_gone(pids: list[int], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while any(map(runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(runs, pids))


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_what_a_killed_driver_left_is_ended_by_its_guard() -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    pids = [int(word) for word in driver.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(runs, pids))
    guards = psutil.Process(driver.pid).children()
    driver.kill()
    driver.wait()
    assert all_gone([*pids, *(p.pid for p in guards)])


def test_an_orphan_is_told_from_a_child(tmp_path: Path) -> None:
    with guarded() as marked:
        child = subprocess.Popen(["sleep", "600"])
        subprocess.run([sys.executable, "-c", RUNAWAY], check=True)
        orphans = marked.orphans()
        assert len(orphans) == 1
        assert {p.pid for p in marked.alive()} == {child.pid, orphans[0].pid}
        other = Marked("of another sweep")
        assert other.alive() == []
    assert MARK not in os.environ
    assert all_gone([child.pid, orphans[0].pid], within_s=0)
    child.wait()


WORKER = """
import psutil, subprocess, sys
from sweeps.launch.leftovers import end_children
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
helper = subprocess.Popen([*sleep, "torch/_inductor/compile_worker/__main__.py"])
child = subprocess.Popen(sleep, start_new_session=True)
while not any("compile_worker" in word for word in psutil.Process(helper.pid).cmdline()):
    pass  # a process that has just begun has no words yet
print(end_children(), child.poll() is not None, helper.poll() is None)
helper.kill()
"""


def test_a_worker_ends_its_children_but_not_the_helpers_that_libraries_keep() -> None:
    worker = subprocess.run([sys.executable, "-c", WORKER], cwd=ROOT, capture_output=True, text=True, check=True)
    assert worker.stdout == "1 True True\n"


def test_the_kernels_count_of_processes_killed_for_memory_is_read() -> None:
    from sweeps.launch.team.memory_kills import n_memory_kills

    if not sys.platform.startswith("linux"):
        pytest.skip("Linux counts them")
    count = n_memory_kills()
    assert count is not None
    assert count >= 0
