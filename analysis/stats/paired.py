"""The mean effect of a setting over pairs of cells, with an interval that knows of other settings and the next run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.stats.between_runs import MIN_SPREAD, Floats, Runs, estimate_of, known_logs, p_value_of
from analysis.stats.estimate import Figure, geometric_mean

MIN_PAIRS = 3
"""Pairs from which their own spread tells an interval; of fewer it is that of the measurements."""


def mean_ratio(ratios: Sequence[Figure], runs: Sequence[tuple[Runs, Runs]] = ()) -> Figure:
    """The geometric mean of the ratios of pairs, with its 95 % interval.

    Two variances add up: that between pairs over their number, as another choice of settings would have it, and where
    each pair was run several times (``runs``: the speeds of both, in the order of the runs) that of a run's mean over
    all pairs over the number of runs, since all pairs of a run move together. Student's t with the degrees of freedom
    of Welch and Satterthwaite (F. E. Satterthwaite, Biometrics Bulletin 2:6, 1946). Of one or two pairs the interval
    is that of their measurements.
    """
    logs = np.array([figure.logs[0] for figure in ratios if figure.value])
    if logs.size < MIN_PAIRS:
        return geometric_mean(ratios)
    parts = [(max(float(logs.var(ddof=1)), MIN_SPREAD**2) / logs.size, logs.size - 1)]
    means = _run_means(runs)
    if means.size > 1:
        parts.append((float(means.var(ddof=1)) / means.size, means.size - 1))
    total = sum(variance for variance, _ in parts)
    freedom = total**2 / sum(variance**2 / n for variance, n in parts)
    return estimate_of(float(logs.mean()), math.sqrt(total), freedom)


def _run_means(runs: Sequence[tuple[Runs, Runs]]) -> Floats:
    """The mean over pairs of the logarithm of their ratio, by run; of the runs that every pair has, (n_runs,)."""
    n_runs = min((min(len(over), len(under)) for over, under in runs), default=0)
    table = np.array([known_logs(over[:n_runs]) - known_logs(under[:n_runs]) for over, under in runs])
    means = table.mean(axis=0) if n_runs else np.empty(0)
    return np.asarray(means[~np.isnan(means)], dtype=np.float64)


def contrast(here: Sequence[float], elsewhere: Sequence[float]) -> tuple[Figure, float]:
    """The geometric mean of some ratios over that of others, with its 95 % interval, and the two-sided p that it is 1.

    Student's t with one variance for both. Without interval, and p NaN, where fewer than four ratios are known.
    """
    a, b = (np.log(np.asarray(values, dtype=np.float64)) for values in (here, elsewhere))
    difference, freedom = float(a.mean() - b.mean()), a.size + b.size - 2
    if freedom < 2:
        return Figure(value=math.exp(difference)), math.nan
    variance = float(np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / freedom
    error = math.sqrt(max(variance, MIN_SPREAD**2) * (1 / a.size + 1 / b.size))
    return estimate_of(difference, error, freedom), p_value_of(difference, error, freedom)
