"""Requests that arrive at random times, served in order of arrival: by one worker, or by whichever of several is free.

``server_load.py`` has the terms.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sweeps.measure.timing.server_load import Clock, ServerResult, WallClock

SWITCH_S = 1e-4
"""Python's interval of 5 ms between threads would be a part of the latency of requests."""


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class _Queue:
    """Requests that workers take in order of arrival; all times are seconds since the start."""

    def __init__(self, arrivals: np.ndarray, clock: Clock) -> None:
        n = len(arrivals)
        self.arrivals, self.begins, self.ends, self.late = arrivals, np.empty(n), np.empty(n), np.empty(n)
        self._clock, self._start = clock, clock.now()
        self._coming, self._turn, self._stopped = iter(range(n)), threading.Lock(), threading.Event()

    def _now(self) -> float:
        return self._clock.now() - self._start

    def work(self, serve: Callable[[], object]) -> None:
        """Serve one request after another until none is left or another worker failed."""
        free_at = 0.0
        try:
            while not self._stopped.is_set():
                with self._turn:
                    i = next(self._coming, None)
                if i is None:
                    return
                arrival = float(self.arrivals[i])
                self._clock.wait_until(self._start + arrival)
                self.begins[i] = self._now()
                self.late[i] = self.begins[i] - max(arrival, free_at)
                serve()
                self.ends[i] = free_at = self._now()
        except BaseException:
            self._stopped.set()
            raise

    def result(self, n_servers: int, deadline_s: float | None) -> ServerResult:
        """What became of the requests, once all are served."""
        latency = self.ends - self.arrivals
        # Those before it that had not begun when it arrived.
        begun = np.searchsorted(np.sort(self.begins), self.arrivals, side="right")
        return ServerResult(
            latency_s=latency, scheduled_s=self.arrivals, n_requests=len(latency), late_s=self.late,
            n_missed=0 if deadline_s is None else int((latency > deadline_s).sum()), n_servers=n_servers,
            queue=np.maximum(0, np.arange(len(latency)) - begun), duration_s=float(self.ends.max()),
            busy_s=float((self.ends - self.begins).sum()),
        )  # fmt: skip


def run_servers(
    serve: Sequence[Callable[[], object]],
    arrivals: np.ndarray,
    *,
    clock: Clock | None = None,
    deadline_s: float | None = None,
) -> ServerResult:
    """Serve requests in order of arrival by so many workers: the first in this thread, each other in one of its own.

    Args:
        serve: Each worker's: serves one request and returns when it is done, the device's work included.
        arrivals: Scheduled arrivals in seconds, ascending.
        clock: The wall clock by default.
        deadline_s: Completions later than this are counted as missed.

    Raises:
        ValueError: If nothing was scheduled, or nobody serves.
    """
    if len(arrivals) == 0 or not serve:
        raise ValueError(f"requests and workers are needed, got {len(arrivals)=} and {len(serve)=}")
    queue = _Queue(arrivals, clock or WallClock())
    if len(serve) == 1:
        queue.work(serve[0])
        return queue.result(1, deadline_s)
    with _quick_turns(), ThreadPoolExecutor(len(serve), thread_name_prefix="accelsweep-replica") as threads:
        others = [threads.submit(queue.work, each) for each in serve[1:]]
        queue.work(serve[0])  # here, where it was compiled: graphs of kernels belong to a thread
        for done in others:
            done.result()
    return queue.result(len(serve), deadline_s)


def run_server(
    serve: Callable[[], object], arrivals: np.ndarray, *, clock: Clock | None = None, deadline_s: float | None = None
) -> ServerResult:
    """Serve requests in order of arrival by one worker; ``run_servers`` says what is given and raised."""
    return run_servers([serve], arrivals, clock=clock, deadline_s=deadline_s)
