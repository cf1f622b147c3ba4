"""A thread that watches Ray's own processes while a sweep runs, and ends the sweep when one of them is gone.

Ray's driver takes up to a minute to notice that its raylet or control server died, and then ends the process without a
word to us, or goes on without being able to start another worker.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from analysis.contract.cells import EXIT_FAILED
from sweeps.launch.leftovers import Marked, end, is_alive

LOOK_EVERY_S = 1.0
"""A look costs a millisecond of one core."""
GRACE_S = 5.0
"""How long the main thread has to come out of what it does in Ray, before the process is ended all the same."""
SERVERS = ("raylet", "gcs_server")


class RayWatch(threading.Thread):
    """Watches Ray's processes on this machine and ends what dead workers left behind.

    ``lost`` says what died and is None while all is well; ``last_words`` are told if the main thread hangs in Ray.
    """

    def __init__(self, marked: Marked, last_words: str) -> None:
        super().__init__(daemon=True, name="accelsweep-ray-watch")
        self._marked, self._last_words = marked, last_words
        self._ended = threading.Event()
        self._servers = {child.name(): child for child in psutil.Process().children() if child.name() in SERVERS}
        self.lost: str | None = None

    def __enter__(self) -> RayWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join(LOOK_EVERY_S)

    def run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            if self.sees_loss():
                self._end_the_sweep()
                return
            # A fork that outlives its worker holds the worker's sockets: Ray sees it die only when that is gone.
            end(self._marked.orphans())

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Where the main thread is in Ray, and a loss interrupts it by KeyboardInterrupt; ``lost`` says which.

        Another thread is not interrupted: Python hands signals to the main one.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        is_inside = True

        def interrupt(_number: int, _frame: Any) -> None:
            # Without a loss the signal came from outside, where it may be one that was to be ignored.
            if is_inside and (self.lost is not None or before is not signal.SIG_IGN):
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGUSR1, interrupt)
        try:
            yield
        finally:
            is_inside = False
            signal.signal(signal.SIGUSR1, before)

    def sees_loss(self) -> bool:
        """Whether one of the servers is gone; ``lost`` says which."""
        for name, server in self._servers.items():
            if not is_alive(server):
                self.lost = f"Ray's {name} died"
        return self.lost is not None

    def _end_the_sweep(self) -> None:
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            _thread.interrupt_main(signal.SIGUSR1)
            if self._ended.wait(0.2):
                return
        with contextlib.suppress(OSError):
            sys.stdout.write(f"ended early: {self.lost}; {self._last_words}\n")
        leave_at_once()


def leave_at_once() -> None:
    """End the process without Ray's own shutdown, which waits a minute for servers that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(EXIT_FAILED)
