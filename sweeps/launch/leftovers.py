"""No process outlives its sweep: what workers forked is found by a mark in its environment, and ended.

Ray ends its workers, and those of their children that stay in their process group. A child that made a session of its
own goes on with the worker's sockets open, so that Ray does not even see that the worker is gone. The mark is a
variable that every process of the sweep inherits from the driver.

As a script, ``leftovers.py MARK`` is the guard: it waits until its standard input closes, which the end of the driver
does however it ends, also by ``kill -9``, and then ends what still carries the mark.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import psutil

MARK = "ACCELSWEEP_RUN"
GUARD_S = 5.0
"""How long the guard looks for processes that are still being forked."""
_YOUNG_S = 5.0
"""A process so young may still be a fork that has yet to run its command."""
_SHARED_HELPERS = ("compile_worker", "resource_tracker", "forkserver", "own_process.py")
"""Children that torch.compile, multiprocessing and we keep for the next cell and end ourselves."""


class Marked:
    """The processes of this machine that carry a sweep's mark: that value of the variable."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._seen: set[int] = set()
        self._found: dict[int, psutil.Process] = {}

    def alive(self) -> list[psutil.Process]:
        """Those that run. Only processes that are new are looked at: a fork has no mark until it runs its command."""
        pids = set(psutil.pids())
        self._seen &= pids
        for pid in pids - self._seen - {os.getpid()}:
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                if time.time() - process.create_time() > _YOUNG_S:
                    self._seen.add(pid)
                if process.environ().get(MARK) == self._mark:
                    self._found[pid] = process
        self._found = {pid: p for pid, p in self._found.items() if pid in pids and is_alive(p)}
        return list(self._found.values())

    def orphans(self) -> list[psutil.Process]:
        """Those that no longer descend from this process."""
        parents = {}
        for process in self.alive():
            with contextlib.suppress(psutil.Error):
                parents[process.pid] = process.ppid()
        me = os.getpid()

        def descends(pid: int) -> bool:
            while pid in parents and pid != me:
                pid = parents[pid]
            return pid == me

        return [process for pid, process in self._found.items() if pid in parents and not descends(pid)]


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def end(processes: list[psutil.Process]) -> None:
    """Kill processes, without waiting."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_children() -> int:
    """Kill what a cell left behind under this worker, save what libraries keep between cells; how many it was."""
    left = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if not any(word in part for part in child.cmdline() for word in _SHARED_HELPERS):
                left.append(child)
    end(left)
    psutil.wait_procs(left, timeout=1)
    return len(left)


@contextlib.contextmanager
def guarded() -> Iterator[Marked]:
    """Mark every process that is started from here on, and end those that are left at the end, however that comes."""
    mark = uuid.uuid4().hex
    guard = subprocess.Popen(  # before the mark is set: it must not end itself
        [sys.executable, os.path.abspath(__file__), mark],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert guard.stdin is not None
    os.environ[MARK] = mark
    try:
        yield Marked(mark)
    finally:
        os.environ.pop(MARK, None)
        guard.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            guard.wait(GUARD_S + 5)


def _guard(mark: str) -> None:
    sys.stdin.buffer.read()
    marked, deadline = Marked(mark), time.monotonic() + GUARD_S
    while time.monotonic() < deadline:
        left = marked.alive()
        if not left:
            return
        end(left)
        time.sleep(0.05)


if __name__ == "__main__":
    _guard(sys.argv[1])
