"""A thread that watches Ray's own processes while a sweep runs, and ends the sweep when one of them is gone.

Ray's driver takes up to a minute to notice that its raylet or control server died, and then ends the process without a
word to us, or goes on without being able to start another worker.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import threading
import time

import psutil

from sweeps.leftovers import Marked, end, is_alive

LOOK_EVERY_S = 0.5
GRACE_S = 5.0
"""How long the main thread has to come out of what it does in Ray, before the process is ended all the same."""
SERVERS = ("raylet", "gcs_server")
EXIT_FAILED = 1


class RayLostError(Exception):
    """A process of Ray that the sweep cannot do without died; every row is on disk."""


class RayWatch(threading.Thread):
    """Watches Ray's processes on this machine and ends what dead workers left behind.

    Args:
        marked: The processes of the sweep.
        last_words: What is told if the main thread hangs in Ray.

    Attributes:
        lost: What died; None while all is well.
    """

    def __init__(self, marked: Marked, last_words: str) -> None:
        super().__init__(daemon=True, name="accelsweep-ray-watch")
        self._marked, self._last_words = marked, last_words
        self._stop = threading.Event()
        children = psutil.Process().children()
        self._servers = {child.name(): child for child in children if child.name() in SERVERS}
        self.lost: str | None = None

    def run(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            for name, server in self._servers.items():
                if not is_alive(server):
                    self._end_the_sweep(name)
                    return
            # A fork that outlives its worker holds the worker's sockets: Ray sees it die only when that is gone.
            end(self._marked.orphans())

    def stop(self) -> None:
        """End the thread: Ray is being shut down, or the main thread knows what happened."""
        self._stop.set()

    def _end_the_sweep(self, name: str) -> None:
        self.lost = f"Ray's {name} died"
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            _thread.interrupt_main()  # twice is at once, see launch._collected_signals
            if self._stop.wait(0.2):
                return
        with contextlib.suppress(OSError):
            sys.stdout.write(f"ended early: {self.lost}; {self._last_words}\n")
            sys.stdout.flush()
        os._exit(EXIT_FAILED)
