"""How many processes the kernel has killed because memory ran out: the only trace that such a kill leaves.

Source: Linux ``Documentation/admin-guide/cgroup-v2.rst`` (``memory.events``), ``cgroup-v1/memory.rst``
(``memory.oom_control``) and ``/proc/vmstat`` (``oom_kill``), which counts the whole machine's.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from sweeps.measure.device.quota import groups

_MACHINE = Path("/proc/vmstat")
_COUNTERS = ("memory.events", "memory.oom_control")  # of both versions of control groups


def n_memory_kills() -> int | None:
    """Processes killed for memory in this process's control group, or on the machine; None where nobody counts.

    Only a change between two calls means something.
    """
    counters = [group / name for group in groups("memory") for name in _COUNTERS]
    for file in [*counters, _MACHINE]:  # the nearest to this process first
        with contextlib.suppress(OSError):
            if match := re.search(r"^oom_kill (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
                return int(match[1])
    return None
