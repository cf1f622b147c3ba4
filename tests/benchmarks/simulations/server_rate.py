"""Whether the highest rate that the server scenario tells meets its limit, in virtual time, before and after.

    python tests/benchmarks/simulations/server_rate.py [--seeds 60]

A worker takes a fixed time for each request, or one that varies, and the limit is that of the p99. For each seed the search runs as in a
sweep, on a clock of its own; the true p99 at a rate is that of four million requests. ``before`` is the bisection that
took one run of 662 requests, always the same arrivals, for the truth, frozen here.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import optimize

sys.path.insert(0, str(Path(__file__).parents[3]))

from sweeps.measure.timing.rate_search import find_max_rate
from sweeps.measure.timing.server_load import ServerResult
from sweeps.measure.timing.serving import run_server
from sweeps.measure.timing.statistics import percentiles
from tests.sweeps.measure.timing.virtual import VirtualClock

SETTINGS = ((0.002, 0.02), (0.002, 0.05), (0.0145, 0.05), (0.0145, 0.2), (0.05, 0.2))
"""Seconds of a service, and of the limit."""
SPREADS = (0.0, 0.2)
"""Standard deviation of the logarithm of a service."""
N_TRUE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one search told, and what it took."""

    rate_per_s: float | None
    bound_s: float | None
    seconds: float
    n_runs: int


def worker(service_s: float, spread: float, seed: int) -> Callable[[np.ndarray], ServerResult]:
    """Serves requests at given arrivals in virtual time."""
    generator, clock = np.random.default_rng([seed, 99]), VirtualClock()

    def serve(arrivals: np.ndarray) -> ServerResult:
        services = iter(service_s * np.exp(spread * generator.standard_normal(len(arrivals))))

        def work() -> None:
            clock.time += next(services)

        return run_server(work, arrivals, clock=clock)

    return serve


def before(service_s: float, limit_s: float, spread: float, seed: int) -> Found:
    """Six bisections below the service rate, each of 662 requests of the same seed."""
    serve, low, high, rate, best, seconds = (
        worker(service_s, spread, seed),
        0.0,
        1 / service_s,
        0.9 / service_s,
        None,
        0.0,
    )
    for _ in range(6):
        result = serve(np.cumsum(np.random.default_rng(seed).exponential(1 / rate, max(662, int(np.ceil(rate))))))
        seconds += result.duration_s
        tail = percentiles(result.latency_s)["p99"]
        if tail is not None and tail <= limit_s:
            low, best = rate, rate
        else:
            high = rate
        rate = (low + high) / 2
    return Found(rate_per_s=best, bound_s=None, seconds=seconds, n_runs=6)


def after(service_s: float, limit_s: float, spread: float, seed: int) -> Found:
    """The real search."""
    search = find_max_rate(worker(service_s, spread, seed), service_s, limit_s, seed=seed)
    if search is None:
        return Found(rate_per_s=None, bound_s=None, seconds=0.0, n_runs=0)
    return Found(
        rate_per_s=search.best and search.best.rate_per_s, bound_s=search.best and search.best.p99_high_s,
        seconds=sum(tried.result.duration_s for tried in search.tried), n_runs=len(search.tried),
    )  # fmt: skip


RULES = {"before": before, "after": after}


@functools.cache
def _drawn(spread: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(12345)
    return generator.standard_exponential(N_TRUE), np.exp(spread * generator.standard_normal(N_TRUE))


def true_p99_s(rate_per_s: float, service_s: float, spread: float) -> float:
    """Of four million requests, by Lindley's recursion."""
    gaps, services = _drawn(spread)
    total = np.concatenate([[0.0], np.cumsum(service_s * services[:-1] - gaps[1:] / rate_per_s)])
    return float(np.quantile(total - np.minimum.accumulate(total) + service_s * services, 0.99))


def true_rate(service_s: float, limit_s: float, spread: float) -> float:
    """The highest rate whose true p99 is within the limit."""
    over = lambda load: true_p99_s(load / service_s, service_s, spread) - limit_s  # noqa: E731
    return float(optimize.brentq(over, 1e-3, 0.95, rtol=1e-3)) / service_s


def line(job: tuple[str, float, float, float, int]) -> str:
    """One line of the table: a rule in a setting."""
    rule, service_s, limit_s, spread, n_seeds = job
    found = [RULES[rule](service_s, limit_s, spread, seed) for seed in range(n_seeds)]
    best = true_rate(service_s, limit_s, spread)
    told = np.array([f.rate_per_s or np.nan for f in found])
    true = [np.nan if np.isnan(rate) else true_p99_s(rate, service_s, spread) for rate in told]
    bounds = np.array([f.bound_s or np.nan for f in found])
    under = "" if np.isnan(bounds).all() else f"{np.mean(bounds < true):.0%}"
    return (f"| {rule} | {1e3 * service_s:g} ms{f' +- {spread:.0%}' if spread else ''} | {1e3 * limit_s:g} ms | {best:.4g} "
            f"| {np.nanmedian(told):.4g} | {np.nanmedian(told) / best:.0%} | {np.nanstd(told) / best:.1%} "
            f"| {np.mean(np.asarray(true) <= limit_s):.0%} | {under} | {np.mean([f.n_runs for f in found]):.1f} "
            f"| {np.mean([f.seconds for f in found]):.0f} s | {max(f.seconds for f in found):.0f} s |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--spread", type=float, nargs="*", default=SPREADS, help="of a service")
    parser.add_argument("--rule", nargs="*", choices=RULES, default=list(RULES))
    asked = parser.parse_args()
    titles = ("rule", "service", "limit", "true rate (1/s)", "reported, median (1/s)", "of the true", "standard deviation",
              "meets its limit", "bound under the true p99", "runs", "mean time", "longest")  # fmt: skip
    print("| " + " | ".join(titles) + " |\n| --- | --- | --- |" + " ---: |" * (len(titles) - 3), flush=True)
    jobs = [
        (rule, *setting, spread, asked.seeds) for spread in asked.spread for setting in SETTINGS for rule in asked.rule
    ]
    with ProcessPoolExecutor(2) as pool:
        for told in pool.map(line, jobs):
            print(told, flush=True)


if __name__ == "__main__":
    main()
