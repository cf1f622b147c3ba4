"""What a queue of one worker or several does to requests, from services that were measured: an upper bound of its p99.

The latency of each request follows from the arrivals and the services alone (Lindley, "The theory of queues with a
single server", 1952), and of a Poisson process the arrivals are known. So the p99 at a rate is that of very many
requests of which only the services were measured, resampled in runs of neighbours (Kuensch's block bootstrap, 1989). A
few hundred requests that really arrived tell far less of it: in a queue those over a limit come in clusters, and the
variance of their number is three to two hundred times that of independent ones.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
from scipy import special

from sweeps.measure.timing.server_load import ServerResult

CONFIDENCE = 0.99
"""That of the early stopping of MLPerf's LoadGen (``early_stopping.cc``), by which a run is valid if its percentile is
within the limit with this confidence. It counts queries as independent, which those of a queue are not."""
SHARE = 0.99
N_REPLICATES, N_REQUESTS = 12, 40_000
N_DISCARDED = N_REQUESTS // 8
"""The queue begins empty; until it has filled its requests are not counted."""
N_OF_SEVERAL = 10_000
"""Requests to several workers, which are followed one by one."""
N_BLOCKS = 20
PRECISION = 2e-3
MIN_LOAD, MAX_LOAD = 1e-3, 0.995


def services_of(result: ServerResult) -> np.ndarray:
    """Seconds of each request from when it could begin to its end: its service, and what the harness was late by."""
    ends = result.scheduled_s + result.latency_s
    if result.n_servers > 1:
        free = [0.0] * result.n_servers
        begins = np.array([max(at, heapq.heapreplace(free, end))
                           for at, end in zip(result.scheduled_s.tolist(), ends.tolist(), strict=True)])  # fmt: skip
        return np.asarray(ends - begins)
    return np.asarray(ends - np.maximum(result.scheduled_s, np.concatenate([[0.0], ends[:-1]])))


def latencies(gaps_s: np.ndarray, services_s: np.ndarray) -> np.ndarray:
    """Seconds from arrival to end of requests served in order by one worker; the last axis is that of the requests."""
    steps = services_s[..., :-1] - gaps_s[..., 1:]
    total = np.concatenate([np.zeros((*steps.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)
    return np.asarray(total - np.minimum.accumulate(total, axis=-1) + services_s)


def latencies_of_several(gaps_s: np.ndarray, services_s: np.ndarray, n_servers: int) -> np.ndarray:
    """The same for several workers, of whom the one that is free first takes the next request; shape (k, n).

    J. Kiefer and J. Wolfowitz, "On the theory of queues with many servers", 1955.
    """
    arrivals = np.cumsum(gaps_s, axis=-1)
    free, found = np.zeros((len(arrivals), n_servers)), np.empty_like(arrivals)
    every = np.arange(len(arrivals))
    for i in range(arrivals.shape[1]):
        first = free.argmin(axis=1)
        ends = np.maximum(arrivals[:, i], free[every, first]) + services_s[:, i]
        free[every, first] = ends
        found[:, i] = ends - arrivals[:, i]
    return found


class QueueModel:
    """The p99 over the arrival rate for services that were measured.

    Args:
        services_s: Seconds, shape (n,), in the order of measurement.
        seed: Of arrivals and resampling; all rates are judged by the same ones.
        n_servers: Workers that share the queue.
    """

    def __init__(self, services_s: np.ndarray, seed: int, n_servers: int = 1) -> None:
        generator = np.random.default_rng([seed, 1, 1])  # not the numbers of any run's arrivals
        self._n_servers = n_servers
        self._gaps = generator.standard_exponential((N_REPLICATES, N_REQUESTS))
        self._services = np.stack([_resampled(services_s, generator) for _ in range(N_REPLICATES)])
        self._mean_s = float(np.mean(services_s))

    def p99_high_s(self, rate_per_s: float) -> float:
        """Upper bound of the p99 at a rate, of confidence ``CONFIDENCE``.

        Each replicate has arrivals of its own, and services drawn from a resampled measurement; the bound is Student's
        of the logarithms of their p99, for one more of them.
        """
        if self._n_servers == 1:
            found = latencies(self._gaps / rate_per_s, self._services)[:, N_DISCARDED:]
        else:
            gaps, services = self._gaps[:, :N_OF_SEVERAL] / rate_per_s, self._services[:, :N_OF_SEVERAL]
            found = latencies_of_several(gaps, services, self._n_servers)[:, N_OF_SEVERAL // 8 :]
        place = int(SHARE * found.shape[1])
        logs = np.log(np.partition(found, place, axis=1)[:, place])
        reach = float(special.stdtrit(N_REPLICATES - 1, CONFIDENCE)) * (1 + 1 / N_REPLICATES) ** 0.5
        return float(np.exp(logs.mean() + reach * logs.std(ddof=1)))

    def highest_rate(self, limit_s: float) -> float | None:
        """The highest rate whose upper bound is within the limit; None if not even a worker nearly idle holds it."""
        low, high = (load * self._n_servers / self._mean_s for load in (MIN_LOAD, MAX_LOAD))
        if self.p99_high_s(low) > limit_s:
            return None
        if self.p99_high_s(high) <= limit_s:
            return high
        from scipy import optimize  # 0.2 s of a core

        over = lambda rate: math.log(self.p99_high_s(rate) / limit_s)  # noqa: E731
        return (1 - PRECISION) * float(optimize.brentq(over, low, high, rtol=PRECISION, xtol=PRECISION * low))


def _resampled(services_s: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """``N_REQUESTS`` services in runs of neighbours, all drawn from as many runs as the measurement has."""
    n = len(services_s)
    length = max(1, n // N_BLOCKS)
    begins = generator.integers(0, n - length + 1, -(-n // length))
    chosen = generator.choice(begins, -(-N_REQUESTS // length))
    return services_s[(chosen[:, None] + np.arange(length)).ravel()[:N_REQUESTS]]
