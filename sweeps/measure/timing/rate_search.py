"""The highest rate of requests whose p99 holds a limit: found from measured services, confirmed by real requests.

Each run is at a rate that was chosen before its arrivals were drawn, and from its services follows the next one
(``queue_model.py``). A rate holds where the upper bound of its p99 is within the limit, and the p99 that was seen too.
A machine that other work disturbs fails a rate now and holds a higher one a minute later: no rate is told that is not
below all that failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.contract.cells import MIN_SAMPLES
from sweeps.measure.timing.queue_model import QueueModel, services_of
from sweeps.measure.timing.server_load import ServerResult, poisson_arrivals
from sweeps.measure.timing.statistics import percentiles

FIRST_SHARE = 0.7
"""Of the rate that a worker as fast as in the warm-up would hold: where the first run is, for nothing is known yet."""
FIRST_S, MAX_RUN_S, MAX_SEARCH_S = 60.0, 120.0, 360.0
"""Seconds that the first run is to take at most, that each may, and that all may."""
MAX_RUNS = 8
N_CONFIRMING = 1000
"""Requests of a run that may be the last, where there is time for them."""
NEAR = 0.97
STEP_DOWN = 0.95
MAX_LOAD = 0.9
MIN_REQUESTS = 100


@dataclass(frozen=True, kw_only=True)
class RateTried:
    """A run at one rate.

    Attributes:
        rate_per_s: Mean arrivals.
        result: What became of them.
        p99_s: Of the requests that arrived; None from too few.
        p99_high_s: Its upper bound over other arrivals and services.
        held: Both are within the limit; None without one.
    """

    rate_per_s: float
    result: ServerResult
    p99_s: float | None
    p99_high_s: float
    held: bool | None


@dataclass(frozen=True, kw_only=True)
class RateSearch:
    """What was tried, in order, and ``best``: the highest rate that held, below all that did not; None if none is."""

    tried: list[RateTried]
    best: RateTried | None

    @property
    def shown(self) -> RateTried:
        """The best, or the lowest rate tried where none held."""
        return self.best or min(self.tried, key=lambda tried: tried.rate_per_s)


def find_max_rate(
    serve: Callable[[np.ndarray], ServerResult],
    service_s: float,
    max_latency_s: float,
    *,
    seed: int = 0,
    min_s: float = 1.0,
    n_servers: int = 1,
) -> RateSearch | None:
    """Search the highest mean rate whose 99th percentile holds a limit.

    Args:
        serve: Serves requests at the given arrivals in seconds.
        service_s: About the seconds of one request with nobody waiting.
        max_latency_s: The limit.
        seed: Of all arrivals.
        min_s: Least seconds of a run.
        n_servers: Workers that serve.

    Returns:
        None if the requests that a p99 takes do not arrive in the time there is.
    """
    start = QueueModel(np.array([service_s]), seed, n_servers).highest_rate(max_latency_s) or 0.0
    rate = min(max(FIRST_SHARE * start, MIN_SAMPLES["p99"] / FIRST_S), MAX_LOAD * n_servers / service_s)
    tried: list[RateTried] = []
    seen = np.empty(0)
    spent = 0.0
    for index in range(MAX_RUNS):
        n = max(MIN_SAMPLES["p99"] if index == 0 else N_CONFIRMING, math.ceil(rate * min_s))
        n = min(n, math.floor(rate * min(MAX_RUN_S, MAX_SEARCH_S - spent)))
        if n < (MIN_SAMPLES["p99"] if index == 0 else MIN_REQUESTS):
            break
        result = serve(poisson_arrivals(rate, n, seed=(seed, index)))
        spent += result.duration_s
        seen = np.concatenate([seen, services_of(result)])
        model = QueueModel(seen[-max(n, MIN_SAMPLES["p99"]) :], seed, n_servers)
        tried.append(_judged(rate, result, max_latency_s, model))
        best = model.highest_rate(max_latency_s)
        if best is None:
            break
        best = min(best, STEP_DOWN * _lowest_failed(tried))
        if tried[-1].held and index and rate >= NEAR * best:
            break
        rate = best
    if not tried:
        return None
    below = [one for one in tried if one.rate_per_s < _lowest_failed(tried)]
    return RateSearch(tried=tried, best=max(below, key=lambda one: one.rate_per_s, default=None))


def _lowest_failed(tried: list[RateTried]) -> float:
    return min((one.rate_per_s for one in tried if not one.held), default=math.inf)


def judged(rate: float, result: ServerResult, limit_s: float | None, seed: int) -> RateTried:
    """A run whose rate was given, by its own services; ``limit_s`` in seconds."""
    return _judged(rate, result, limit_s, QueueModel(services_of(result), seed, result.n_servers))


def _judged(rate: float, result: ServerResult, limit_s: float | None, model: QueueModel) -> RateTried:
    seen, high = percentiles(result.latency_s)["p99"], model.p99_high_s(rate)
    return RateTried(
        rate_per_s=rate, result=result, p99_s=seen, p99_high_s=high,
        held=None if limit_s is None else high <= limit_s and (seen is None or seen <= limit_s),
    )  # fmt: skip
