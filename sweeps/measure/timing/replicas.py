"""Requests that arrive at random times, served in order of arrival by several workers: by whoever is free first.

``server_load.py`` has the terms and the queue of one worker.
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
    clock = clock or WallClock()
    n = len(arrivals)
    begins, ends, late = np.empty(n), np.empty(n), np.empty(n)
    coming, turn, stopped, start = iter(range(n)), threading.Lock(), threading.Event(), clock.now()

    def work(serve_one: Callable[[], object]) -> None:
        free_at = 0.0
        while not stopped.is_set():
            with turn:
                i = next(coming, None)
            if i is None:
                return
            clock.wait_until(start + float(arrivals[i]))
            begins[i] = clock.now() - start
            late[i] = begins[i] - max(float(arrivals[i]), free_at)
            serve_one()
            ends[i] = free_at = clock.now() - start

    def until_one_fails(serve_one: Callable[[], object]) -> None:
        try:
            work(serve_one)
        except BaseException:
            stopped.set()
            raise

    with _quick_turns(), ThreadPoolExecutor(len(serve), thread_name_prefix="accelsweep-replica") as threads:
        others = [threads.submit(until_one_fails, each) for each in serve[1:]]
        until_one_fails(serve[0])  # here, where it was compiled: graphs of kernels belong to a thread
        for done in others:
            done.result()
    latency = ends - arrivals
    # Those before it that had not begun when it arrived.
    begun = np.searchsorted(np.sort(begins), arrivals, side="right")
    return ServerResult(
        latency_s=latency, scheduled_s=arrivals, n_requests=n, late_s=late, n_servers=len(serve),
        n_missed=0 if deadline_s is None else int((latency > deadline_s).sum()),
        queue=np.maximum(0, np.arange(n) - begun), duration_s=float(ends.max()), busy_s=float((ends - begins).sum()),
    )  # fmt: skip
