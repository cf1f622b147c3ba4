"""Quotas of CPU time, in control groups of both kinds: made up, and a real one where this machine lets us make it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.measure.device import quota
from sweeps.measure.device.host import usable_cpus
from tests.sweeps.conftest import ROOT


def lay(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("line", "files", "cpus", "stood_still_ns"),
    [
        ("0::/a/b", {"a/b/cpu.max": "50000 100000\n", "a/b/cpu.stat": "nr_throttled 3\nthrottled_usec 7\n"}, 0.5, 7000),
        ("0::/a/b", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n"}, 2.5, None),
        ("0::/", {"cpu.max": "150000 100000\n"}, 1.5, None),
        ("0::/", {"cpu.max": "max 100000\n", "cpu.stat": "throttled_usec 7\n"}, None, None),
        ("4:cpu,cpuacct:/x", {"cpu/x/cpu.cfs_quota_us": "50000", "cpu/x/cpu.cfs_period_us": "100000",
                              "cpu/x/cpu.stat": "nr_throttled 1\nthrottled_time 9\n"}, 0.5, 9),
        ("4:cpu:/docker/hidden", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0, None),
        ("4:cpu:/x", {"cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "100000"}, None, None),
        ("5:cpuset:/x", {"cpuset/x/cpu.max": "1 100000"}, None, None),
        ("0::/", {"cpu.max": "nonsense"}, None, None),
    ],
)  # fmt: skip
def test_the_least_quota_of_a_group_and_those_above_it_counts(
    line: str, files: dict[str, str], cpus: float | None, stood_still_ns: int | None, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lay(tmp_path, {"proc/self/cgroup": f"{line}\n"})
    lay(tmp_path / "groups", files)
    monkeypatch.setattr(quota, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(quota, "_CGROUPS", tmp_path / "groups")
    assert (quota.cpu_quota(), quota.held_back_ns()) == (cpus, stood_still_ns)
    all_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert usable_cpus() == (all_cpus if cpus is None else min(all_cpus, -int(-cpus // 1)))


def test_what_a_container_leaves_of_the_machine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(quota, "_CGROUPS", tmp_path / "groups")
    lay(tmp_path, {"proc/self/cgroup": "0::/a\n", "groups/a/memory.max": "max", "groups/a/cpu.max": "max 100000"})
    assert quota.container_limits() is None
    lay(tmp_path, {"groups/memory.max": str(2**29), "groups/a/cpu.max": "150000 100000"})
    assert quota.container_limits() == "1.5 CPUs, 0.5 GiB"


def test_without_control_groups_there_is_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "_PROC", tmp_path)
    assert (quota.cpu_quota(), quota.held_back_ns()) == (None, None)


CODE = """
import os, sys, time, torch
from pathlib import Path
from sweeps.measure.device.host import usable_cpus
from sweeps.measure.monitors.conditions import ConditionMonitor
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))  # with the imports done, which would take a minute there
monitor = ConditionMonitor(torch.device("cpu"))
with monitor:
    end = time.monotonic() + 1
    while time.monotonic() < end: pass
    columns = monitor.columns()
print(usable_cpus(), columns["is_throttled"], columns["throttle_reasons"], flush=True)
os._exit(0)  # ending in order takes seconds there
"""


def test_a_process_with_little_of_a_cpu_is_told_to_be_held_back() -> None:
    group = Path("/sys/fs/cgroup/cpu") / f"accelsweep-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("10000")
    except OSError as error:
        pytest.skip(f"no control group of CPU time can be made here: {error}")
    try:
        command = [sys.executable, "-c", CODE, str(group)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    finally:
        group.rmdir()
    assert done.stdout == "1 True CPU quota spent\n", done.stderr
