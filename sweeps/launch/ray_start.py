"""Ray started on this machine, in a thread of its own, while the command line becomes a sweep.

Imports Ray in that thread: it takes a second, and what is wrong with a command line is said without it.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from sweeps.launch.leftovers import Marked, guarded
from sweeps.launch.servers.worker_process import first_worker
from sweeps.scheduling.endings import SweepLostError
from workloads.runtime.words import in_short


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How to reach or start Ray."""

    address: str | None = None
    verbose: bool = False
    node_timeout_s: float = 600.0
    """A cell that no node of the cluster takes for so long is given up."""
    go_on: str = "everything measured is kept"
    """What is told if Ray dies and does not let go of the process: how the sweep goes on."""
    ahead: tuple[str, ...] = ()
    """Modules that a first worker imports while Ray still starts: a thread's in each line, spaces between them."""


class RayStart(threading.Thread):
    """Starts Ray when it is entered, and leaves it at the latest when it is left.

    The thread stays as long as Ray does: Linux ends Ray's servers with the thread that started them (prctl(2),
    PR_SET_PDEATHSIG).
    """

    def __init__(self, options: RayOptions) -> None:
        super().__init__(daemon=True, name="accelsweep-ray-start")
        self._options = options
        self._is_up, self._is_over = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._remedy = ""
        self._is_lost = False

    def __enter__(self) -> RayStart:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        if not self._is_lost:
            with contextlib.suppress(KeyboardInterrupt):
                self.join()

    def run(self) -> None:
        with first_worker(self._options.ahead):
            self._run()

    def _run(self) -> None:
        try:
            ours = importlib.import_module("sweeps.launch.ray_session")  # and Ray with it
            ours.start_ray(self._options)
        except BaseException as error:  # told where it is waited for
            self._failure = error
            if "AF_UNIX" in str(error):
                self._remedy = f"; set RAY_TMPDIR to a folder of at most {ours.MAX_TMPDIR} characters"
        self._is_up.set()
        self._is_over.wait()
        if self._failure is None and not self._is_lost:
            ours.stop_ray()

    def wait(self) -> None:
        """Until Ray is up; SweepLostError if it did not start."""
        self._is_up.wait()
        if self._failure is not None:
            why = in_short(str(self._failure)) or type(self._failure).__name__
            raise SweepLostError(f"Ray did not start: {why}{self._remedy}") from self._failure

    def leave(self) -> None:
        """Let Ray end, without waiting for it."""
        self._is_over.set()

    def lose(self) -> None:
        """Forget about Ray, whose servers are gone: its own shutdown would wait for them a minute."""
        self._is_lost = True


@dataclass(frozen=True, kw_only=True)
class RayHere:
    """What a sweep's processes are marked with, and Ray on this machine; no ``start`` where it is a cluster's."""

    marked: Marked
    start: RayStart | None = None


@contextlib.contextmanager
def ray_here(options: RayOptions) -> Iterator[RayHere]:
    """Ray being started on this machine (not where an address names a cluster), and gone with all its processes."""
    with guarded() as marked, contextlib.ExitStack() as held:
        yield RayHere(marked=marked, start=None if options.address else held.enter_context(RayStart(options)))
