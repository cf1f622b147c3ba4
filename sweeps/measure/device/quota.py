"""How much CPU time and memory this process's control group may have, as containers and clusters limit it on Linux.

Source: Linux ``Documentation/admin-guide/cgroup-v2.rst`` (``cpu.max``, ``cpu.stat``, ``memory.max``),
``scheduler/sched-bwc.rst`` (``cpu.cfs_quota_us``, ``cpu.cfs_period_us``) and ``cgroup-v1/memory.rst``. A limit also
counts for the groups below the one that has it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def groups(controller: str) -> Iterator[Path]:
    """The folders of this process's groups and of those above, as far as they can be seen from here."""
    told = ""
    with contextlib.suppress(OSError):
        told = (_PROC / "self/cgroup").read_text(encoding="utf-8")
    for line in told.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            root = _CGROUPS / controller if controllers else _CGROUPS
            group = root / path.lstrip("/")  # of a container's own view the root alone is there
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _quota_of(group: Path) -> float | None:
    """CPUs' worth of time that a group may have; None where it says nothing or has no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota_us = int((group / "cpu.cfs_quota_us").read_text())
        return quota_us / int((group / "cpu.cfs_period_us").read_text()) if quota_us > 0 else None
    return None


def cpu_quota() -> float | None:
    """CPUs' worth of time that this process and others of its group may have, such as 0.5; None for no limit."""
    return min((quota for group in groups("cpu") if (quota := _quota_of(group)) is not None), default=None)


def held_back_ns() -> int | None:
    """Nanoseconds that CPUs of this process's groups stood still as their quota was spent; None without one."""
    found = []
    for group in groups("cpu"):
        with contextlib.suppress(OSError):
            told = (group / "cpu.stat").read_text() if _quota_of(group) is not None else ""
            found += [int(n) * (1000 if unit == "usec" else 1)
                      for unit, n in re.findall(r"^throttled_(usec|time) (\d+)$", told, re.MULTILINE)]  # fmt: skip
    return max(found, default=None)


def _memory_limits() -> list[int]:
    limits = [int(psutil.virtual_memory().total)]
    for group in groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):  # ValueError: "max" is no limit
                limits.append(int((group / name).read_text()))
    return limits


def most_host_bytes() -> int:
    """The most memory that this process could ever have: the machine's or its group's, and all there is to swap to."""
    return int(min(_memory_limits()) + psutil.swap_memory().total)


def container_limits() -> str | None:
    """What the control group leaves of the machine, such as ``2 CPUs, 4 GiB``; None where it limits nothing."""
    quota, (machine, *limits) = cpu_quota(), _memory_limits()
    told = [] if quota is None else [f"{quota:g} CPU{'' if quota == 1 else 's'}"]
    told += [f"{min(limits) / 2**30:.3g} GiB"] if limits and min(limits) < machine else []
    return ", ".join(told) or None
