"""How many processes the kernel has killed because memory ran out: the only trace that such a kill leaves.

Source: Linux ``Documentation/admin-guide/cgroup-v2.rst`` (``memory.events``), ``cgroup-v1/memory.rst``
(``memory.oom_control``) and ``/proc/vmstat`` (``oom_kill``), which counts the whole machine's.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def _counters() -> list[Path]:
    """Files that may hold the count, the nearest to this process first."""
    found, told = [], ""
    with contextlib.suppress(OSError):
        told = (_PROC / "self/cgroup").read_text(encoding="utf-8")
    for line in told.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append(_CGROUPS / path.lstrip("/") / "memory.events")
        elif "memory" in controllers.split(","):
            folder = _CGROUPS / "memory"
            found += [folder / path.lstrip("/") / "memory.oom_control", folder / "memory.oom_control"]
    return [*found, _PROC / "vmstat"]


def n_memory_kills() -> int | None:
    """Processes killed for memory in this process's control group, or on the machine; None where nobody counts.

    Only a change between two calls means something.
    """
    for file in _counters():
        with contextlib.suppress(OSError):
            if match := re.search(r"^oom_kill (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
                return int(match[1])
    return None
