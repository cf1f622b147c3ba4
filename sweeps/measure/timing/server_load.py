"""Latency under load: requests that arrive at random times, and what became of them.

The terms are MLPerf LoadGen's (its ``loadgen`` README): in the server scenario queries arrive as a Poisson process
and a query's latency counts from its scheduled arrival, not from when it was sent, so that a slow answer also
counts for those that had to wait behind it (coordinated omission). A request is one step, that is one batch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from sweeps.measure.timing.rounds import latency_columns

SPIN_S = 2e-4 if sys.platform == "linux" else 1e-3
"""Sleeping returns late, on Linux by some 0.05 ms, elsewhere by up to a millisecond, so the last of the time before an
arrival is waited awake. No more than that: where others compute too, a thread that spins is given its turn later."""


class Clock(Protocol):
    """Time as the server sees it; a virtual one makes queueing theory testable."""

    def now(self) -> float:
        """Seconds since some fixed moment."""

    def wait_until(self, moment: float) -> None:
        """Return at that moment, at once if it has passed."""


class WallClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        return time.perf_counter()

    def wait_until(self, moment: float) -> None:
        while (left := moment - time.perf_counter()) > 0:
            if left > SPIN_S:
                time.sleep(left - SPIN_S)


@dataclass(frozen=True, kw_only=True)
class ServerResult:
    """What became of the requests.

    Attributes:
        latency_s: Of each request completed, from its scheduled arrival, in order of arrival.
        scheduled_s: Its scheduled arrival since the start.
        n_requests: Requests scheduled.
        n_missed: Completed later than the deadline.
        queue: Requests waiting, seen by each arrival.
        duration_s: From the start to the last completion.
        busy_s: Time in which a request was served.
        late_s: How much later than possible each served request began: the clock's own fault.
        n_servers: Workers that served them.
    """

    latency_s: np.ndarray
    scheduled_s: np.ndarray
    n_requests: int
    n_missed: int
    queue: np.ndarray
    duration_s: float
    busy_s: float
    late_s: np.ndarray = field(repr=False)
    n_servers: int

    def columns(self, deadline_s: float | None, items_per_step: int) -> dict[str, Any]:
        """Columns of the trials table; the percentiles are null from too few requests."""
        n = len(self.latency_s)
        columns: dict[str, Any] = {
            "deadline_s": deadline_s,
            "completed_rate_per_s": n / self.duration_s,
            "throughput_items_per_s": n * items_per_step / self.duration_s,
            "n_requests": self.n_requests,
            "n_missed": self.n_missed if deadline_s is not None else None,
            "n_dropped": 0,  # the queue has no limit
            "queue_mean": float(self.queue.mean()),
            "queue_max": int(self.queue.max()),
        }
        return {**columns, **latency_columns(self.latency_s)}


def poisson_arrivals(rate_per_s: float, n: int, seed: int | Sequence[int]) -> np.ndarray:
    """Seconds at which ``n`` requests arrive: a Poisson process, the same for the same seed.

    Scaled so that the last arrives at ``n / rate_per_s``: they arrive at the rate that is told, not at one that differs
    from it by chance.

    Raises:
        ValueError: If the rate or the number is not over 0.
    """
    if rate_per_s <= 0 or n < 1:
        raise ValueError(f"a rate and a number over 0 are needed, got {rate_per_s=} and {n=}")
    arrivals = np.cumsum(np.random.default_rng(seed).standard_exponential(n))
    return np.asarray(arrivals * (n / rate_per_s / arrivals[-1]))
