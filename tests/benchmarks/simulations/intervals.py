"""Coverage of the median's 95 % interval over simulated cells, before and after it knew of autocorrelation.

    python tests/benchmarks/simulations/intervals.py [--trials 400]

Each case is a cell whose true median is known: independent samples, independent rounds, rounds with autocorrelation 0.7,
steps with 0.99, and steps longer than a round with 0.9. Its interval is that of a row, after a fixed number of rounds
and where the stopping rule ends it, at spreads below, about and above the precision target; with it stands how many
measured seconds that took. ``before`` is the rule that took rounds for independent, frozen here. The last table is the
share of cells without any trend that are said to drift.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy import signal, stats

from sweeps.measure.timing.rounds import RoundLog, RoundPolicy
from sweeps.measure.timing.statistics import DRIFT_P, DRIFT_RATIO, Interval, drift, median_interval

POLICY = RoundPolicy()
PER_ROUND, LONG_STEP_S = 20, 0.4
N_FIXED, SPREADS = (5, 10, 20), (0.003, 0.01, 0.03, 0.1)
DRIFT_ROUNDS = (6, 10, 25, 50)
Case = Callable[[np.random.Generator, int], np.ndarray]


def autocorrelated(generator: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """A stationary process of first order with a standard deviation of one, shape (n,)."""
    noise = generator.standard_normal(n) * math.sqrt(1 - rho**2)
    noise[0] /= math.sqrt(1 - rho**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -rho], noise))


def by_rounds(rounds: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return rounds[:, None] + noise.reshape(len(rounds), -1)


CASES: dict[str, Case] = {
    "independent samples": lambda g, n: g.standard_normal((n, PER_ROUND)),
    "independent rounds": lambda g, n: by_rounds(g.standard_normal(n), g.standard_normal(n * PER_ROUND)),
    "rounds with 0.7": lambda g, n: by_rounds(autocorrelated(g, n, 0.7), g.standard_normal(n * PER_ROUND)),
    "steps with 0.99": lambda g, n: autocorrelated(g, n * PER_ROUND, 0.99).reshape(n, -1),
    "long steps with 0.9": lambda g, n: autocorrelated(g, n, 0.9)[:, None],
}
"""Deviations from the median in units of the spread, shape (rounds, samples of a round)."""


def old_interval(values: np.ndarray, sizes: list[int]) -> Interval:
    """Order statistics, as wide as rounds taken for independent differ."""
    n, n_rounds = len(values), len(sizes)
    ordered, median = np.sort(values), float(np.median(values))
    rank = int(stats.binom.ppf(0.025, n, 0.5)) - 1
    if rank >= 0 and n_rounds >= 2 and max(sizes) > 1:
        under = np.where(values < median, 1.0, np.where(values == median, 0.5, 0.0))
        excess = np.add.reduceat(under, np.cumsum([0, *sizes[:-1]])) - 0.5 * np.asarray(sizes)
        t = float(stats.t.ppf(0.975, n_rounds - 1))
        rank = min(rank, math.floor((n - 1) / 2 - t * math.sqrt(n_rounds / (n_rounds - 1) * float(np.sum(excess**2)))))
    if rank < 0:
        return Interval(low=None, median=median, high=None)
    return Interval(low=float(ordered[rank]), median=median, high=float(ordered[n - 1 - rank]))


class OldLog(RoundLog):
    """Rounds that end by the old rule."""

    def is_enough(self, policy: RoundPolicy) -> bool:
        if len(self.round_sizes) < policy.min_rounds:
            return False
        if self.measured_s >= policy.max_s:
            return True
        return self.measured_s >= policy.min_s and policy.holds(old_interval(self.samples, self.round_sizes))


RULES: dict[str, tuple[type[RoundLog], Callable[[np.ndarray, list[int]], Interval]]] = {
    "before": (OldLog, old_interval),
    "after": (RoundLog, lambda values, sizes: median_interval(values, round_sizes=sizes)),
}


def measured(rule: str, case: str, spread: float, n_rounds: int | None, seed: int) -> tuple[bool, float]:
    """Whether one cell's interval holds its median, and for how many seconds it was measured."""
    make, interval_of = RULES[rule]
    step_s = LONG_STEP_S if case.startswith("long") else POLICY.round_s / PER_ROUND
    rounds = step_s * np.exp(spread * CASES[case](np.random.default_rng(seed), n_rounds or 60))
    log = make()
    for seconds in rounds:
        log.add(seconds)
        if n_rounds is None and log.is_enough(POLICY):
            break
    found = interval_of(log.samples, log.round_sizes)
    holds = found.low is not None and found.high is not None and found.low <= step_s <= found.high
    return holds, log.measured_s


def row(job: tuple[str, str, int]) -> tuple[str, str, list[str]]:
    """One line of the table."""
    rule, case, n_trials = job
    told = []
    for n_rounds, spread in [*((n, 0.01) for n in N_FIXED), *((None, s) for s in SPREADS)]:
        found = [measured(rule, case, spread, n_rounds, seed) for seed in range(n_trials)]
        share, seconds = np.mean(found, axis=0)
        told.append(f"{share:.0%}" if n_rounds else f"{share:.0%} {seconds:.1f} s")
    return rule, case, told


def old_drift(medians: np.ndarray) -> bool:
    """The verdict by a line and Kendall's tau alone."""
    index = np.arange(len(medians))
    ratio = stats.theilslopes(medians, index).slope * (len(medians) - 1) / np.median(medians)
    return bool(stats.kendalltau(index, medians).pvalue < DRIFT_P and abs(ratio) > DRIFT_RATIO)


def drifts(rho: float, n_rounds: int, rise: float, n_trials: int) -> tuple[float, float]:
    """Shares of cells that are said to drift, by the old rule and by the real one; ``rise`` is from first to last."""
    told = []
    for seed in range(n_trials):
        medians = np.exp(0.1 * autocorrelated(np.random.default_rng(seed), n_rounds, rho))
        if rise:
            medians = (1 + np.linspace(0, rise, n_rounds)) * medians**0.1  # over a spread of 1 %
        change = drift(medians)
        told.append((old_drift(medians), change is not None and change.is_drifting))
    old, new = np.mean(told, axis=0)
    return float(old), float(new)


def lines(n_trials: int) -> Iterator[str]:
    """The tables in Markdown."""
    yield f"\n95 % intervals of {n_trials} cells each: share that hold the true median, and mean seconds measured\n"
    titles = [*(f"{n} rounds" for n in N_FIXED), *(f"stopped, spread {s:.1%}" for s in SPREADS)]
    yield "| rule | case | " + " | ".join(titles) + " |"
    yield "| --- | --- |" + " ---: |" * len(titles)
    with ProcessPoolExecutor(2) as pool:
        for rule, case, told in pool.map(row, [(rule, case, n_trials) for rule in RULES for case in CASES]):
            yield f"| {rule} | {case} | " + " | ".join(told) + " |"
    yield f"\nShare of {n_trials} cells said to drift, before and after\n"
    yield "| rounds | " + " | ".join(f"{n} of them" for n in DRIFT_ROUNDS) + " |"
    yield "| --- |" + " ---: |" * len(DRIFT_ROUNDS)
    for name, rho, rise in (("independent", 0.0, 0.0), ("autocorrelation 0.7", 0.7, 0.0),
                            ("autocorrelation 0.9", 0.9, 0.0), ("10 % slower from first to last", 0.0, 0.1)):  # fmt: skip
        told = [drifts(rho, n, rise, n_trials) for n in DRIFT_ROUNDS]
        yield f"| {name} | " + " | ".join(f"{old:.0%}, {new:.0%}" for old, new in told) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    for line in lines(parser.parse_args().trials):
        print(line, flush=True)
