"""Memory that a process takes anew in every step: page faults, and the kernel's share of the processor time.

glibc's malloc hands large blocks back to the kernel once they are free, by rules that change while a program runs
(mallopt(3): the dynamic M_MMAP_THRESHOLD, and M_TRIM_THRESHOLD at twice it). Whether a step finds the last one's
memory still there then depends on how the heap happens to lie, and the same cell can take half as long again in another
process.
"""

from __future__ import annotations

import os

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def _usage() -> tuple[int, float, float] | None:
    """Page faults so far that needed no disk, then user and system seconds of this process; None if nobody counts."""
    if resource is None:
        return None
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_minflt, now.ru_utime, now.ru_stime


class PageFaultCounter:
    """Context manager to enter around each round; ``columns`` tells the sum of all."""

    def __init__(self) -> None:
        self._before: tuple[int, float, float] | None = None
        self._faults, self._user_s, self._system_s = 0, 0.0, 0.0

    def __enter__(self) -> PageFaultCounter:
        self._before = _usage()
        return self

    def __exit__(self, *_: object) -> None:
        after = _usage()
        if self._before is not None and after is not None:
            self._faults += after[0] - self._before[0]
            self._user_s += after[1] - self._before[1]
            self._system_s += after[2] - self._before[2]

    def columns(self, n_steps: float) -> dict[str, float | None]:
        """Columns of the trials table; null where the system does not count or nothing ran.

        Args:
            n_steps: Steps in all the rounds.
        """
        total_s = self._user_s + self._system_s
        if self._before is None or n_steps <= 0:
            return {"page_fault_bytes_per_step": None, "system_time_ratio": None}
        return {
            "page_fault_bytes_per_step": self._faults * os.sysconf("SC_PAGE_SIZE") / n_steps,
            "system_time_ratio": self._system_s / total_s if total_s > 0 else None,
        }
