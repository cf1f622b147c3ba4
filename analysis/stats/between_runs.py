"""How far a cell differs from one run to the next, and intervals of levels and ratios that hold it.

A run of a cell is one number, the median that a fresh process measured. All is reckoned in natural logarithms, in which
a spread of 0.03 is 3 %: so it serves seconds and rates alike. Runs of a cell are taken as exchangeable: none knows
which side it is of. What a whole side shares (the state in which a single sweep found the machine) no repeat within it
can show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from analysis.stats.estimate import Figure

Runs = Sequence[float]
"""The medians of one cell, in any unit, in the order of the runs; NaN for a run that lacks it."""
Floats = NDArray[np.float64]


MIN_SPREAD = 0.001
"""The least standard deviation: runs that agree in every digit show a coarse clock, not a quiet machine."""

POWER = 0.8
"""How often the smallest change is found that a comparison names."""


def logs_of(runs: Runs) -> Floats:
    """Natural logarithms of those that are known and positive, shape (n_known,)."""
    logs = known_logs(runs)
    return logs[~np.isnan(logs)]


def known_logs(runs: Runs) -> Floats:
    """Natural logarithms, shape (n_runs,); NaN where a run is unknown or not positive."""
    values = np.asarray(runs, dtype=np.float64)
    return np.log(np.where(np.isfinite(values) & (values > 0), values, np.nan))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread between runs of several cells.

    Attributes:
        variance: Of the logarithm of a run's median, pooled over cells; NaN where no cell has two runs.
        prior_freedom: With how many degrees of freedom it weighs against a cell's own; inf where cells are alike.
        freedom: The degrees of freedom of all cells together, fewer where cells move together from run to run.
        n_cells: Cells with two runs or more.
    """

    variance: float
    prior_freedom: float
    freedom: float
    n_cells: int

    @property
    def is_known(self) -> bool:
        return self.variance > 0 and self.freedom > 0

    @property
    def relative(self) -> float:
        """The standard deviation between runs as a share, 0.03 for 3 %."""
        return math.expm1(math.sqrt(self.variance))

    def moderated(self, cells: Sequence[Runs]) -> tuple[float, float]:
        """The variance of the runs of a cell, or of both its sides, and its degrees of freedom.

        The cell's own variance drawn towards the pooled one (limma's ``squeezeVar``). NaN where nothing is known.
        """
        logs = [logs_of(runs) for runs in cells]
        own = float(sum(log.size - 1 for log in logs if log.size))
        squares = float(sum(np.sum((log - log.mean()) ** 2) for log in logs if log.size))
        if not self.is_known:
            return math.nan, 0.0
        if math.isinf(self.prior_freedom):
            return self.variance, self.freedom
        total = own + self.prior_freedom
        variance = (squares + self.prior_freedom * self.variance) / total
        return max(variance, MIN_SPREAD**2), min(total, self.freedom)

    def interval(self, runs: Runs, confidence: float = 0.95) -> Figure:
        """A cell's level, the geometric mean of its runs, with its interval by the moderated t, in the runs' unit.

        Of one run too: how far another one could lie is known from the other cells. Without ends where no spread is.
        """
        logs = logs_of(runs)
        if not logs.size:
            return Figure(value=None)
        variance, freedom = self.moderated([runs])
        return estimate_of(float(logs.mean()), math.sqrt(variance / logs.size), freedom, confidence)

    def ratio(self, over: Runs, under: Runs, confidence: float = 0.95) -> Figure:
        """The ratio of two cells' levels, or of one cell's on two sides, with its interval by the moderated t."""
        difference, error, freedom = self._difference(over, under)
        return Figure(value=None) if math.isnan(difference) else estimate_of(difference, error, freedom, confidence)

    def p_value(self, over: Runs, under: Runs) -> float:
        """Two-sided, of the hypothesis that both levels are one; NaN where no spread is known."""
        difference, error, freedom = self._difference(over, under)
        return p_value_of(difference, error, freedom)

    def smallest_change(self, n_over: int, n_under: int, p: float, least: float = 0.0) -> float:
        """The ratio that so many runs a side find in four of five comparisons, at the level ``p`` and over ``least``.

        NaN where no spread is known. By the usual sum of two quantiles (Cohen, Statistical Power Analysis, 2.4).
        """
        if not (self.is_known and n_over and n_under):
            return math.nan
        freedom = self.freedom if math.isinf(self.prior_freedom) else min(
            self.prior_freedom + n_over + n_under - 2, self.freedom)  # fmt: skip
        error = math.sqrt(self.variance * (1 / n_over + 1 / n_under))
        return smallest_of(error, freedom, p, least)

    def _difference(self, over: Runs, under: Runs) -> tuple[float, float, float]:
        a, b = logs_of(over), logs_of(under)
        if not a.size or not b.size:
            return math.nan, math.nan, 0.0
        variance, freedom = self.moderated([over, under])
        return float(a.mean() - b.mean()), math.sqrt(variance * (1 / a.size + 1 / b.size)), freedom


UNKNOWN = Spread(variance=math.nan, prior_freedom=math.inf, freedom=0.0, n_cells=0)
"""Of cells that were each run once."""


def pooled(cells: Sequence[Sequence[Runs]]) -> Spread:
    """The spread of cells, each of one or more lists of runs that may differ in level (such as its two sides).

    An empirical Bayes prior of the cells' variances: their logarithms' mean and variance give that of a scaled F
    distribution (G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
    microarray experiments", Statistical Applications in Genetics and Molecular Biology 3:1, 2004, section 6.2; limma's
    ``fitFDist``). Of cells that move together from run to run, all by the state of the machine, each tells less than
    its own degrees of freedom: with a correlation r of C cells those of all are divided by 1 + (C - 1) r^2, since the
    covariance of two squares is 2 r^2.
    """
    variances, freedoms = [], []
    for lists in cells:
        logs = [log for log in map(logs_of, lists) if log.size > 1]
        if logs:
            freedoms.append(float(sum(log.size - 1 for log in logs)))
            variances.append(float(sum(np.sum((log - log.mean()) ** 2) for log in logs)) / freedoms[-1])
    x, d = np.asarray(variances), np.asarray(freedoms)
    if not x.size:
        return UNKNOWN
    rho = _correlation(cells)
    freedom = float(d.sum()) / (1 + (len(x) - 1) * rho**2)
    variance, prior = _prior(np.maximum(x, MIN_SPREAD**2), d)
    return Spread(variance=variance, prior_freedom=prior, freedom=freedom, n_cells=len(x))


def _prior(x: Floats, d: Floats) -> tuple[float, float]:
    """Scale and degrees of freedom of the variances ``x`` with ``d`` degrees of freedom each."""
    mean = float(np.sum(x * d) / d.sum())
    if x.size < 2:  # one variance has no spread of its own
        return mean, math.inf
    excess = np.log(x) - special.digamma(d / 2) + np.log(d / 2)
    beyond = float(excess.var(ddof=1) - special.polygamma(1, d / 2).mean())
    if beyond <= 0:
        return mean, math.inf
    prior = 2 * _inverse_trigamma(beyond)
    return math.exp(float(excess.mean() + special.digamma(prior / 2)) - math.log(prior / 2)), prior


def _inverse_trigamma(value: float) -> float:
    ends = -20.0, 20.0  # of the logarithm: trigamma falls from 1e17 to 2e-9
    value = min(max(value, 1e-8), 1e16)
    return math.exp(float(optimize.brentq(lambda x: math.log(special.polygamma(1, math.exp(x)) / value), *ends)))


def _correlation(cells: Sequence[Sequence[Runs]]) -> float:
    """Mean correlation of two cells' runs of one position, from 0 to 1; 0 where fewer than two share any."""
    by_run: dict[tuple[int, int], list[float]] = {}
    for lists in cells:
        for side, runs in enumerate(lists):
            log = known_logs(runs)
            known = np.flatnonzero(~np.isnan(log))
            if known.size > 1:
                for run, value in zip(known, log[known] - log[known].mean(), strict=True):
                    by_run.setdefault((side, int(run)), []).append(float(value))
    together = sum(sum(values) ** 2 - sum(v * v for v in values) for values in by_run.values())
    alone = sum((len(values) - 1) * sum(v * v for v in values) for values in by_run.values())
    return min(1.0, max(0.0, together / alone)) if alone > 0 else 0.0


def _t(share: float, freedom: float) -> float:
    """The quantile of Student's t; scipy.stats.t's own takes twenty times as long for one number."""
    return float(special.stdtrit(freedom, share))


def estimate_of(log: float, error: float, freedom: float, confidence: float = 0.95) -> Figure:
    """A figure from its logarithm and that one's standard error, with the interval of Student's t."""
    if not (error > 0 and freedom > 0):
        return Figure(value=math.exp(log))
    half = _t((1 + confidence) / 2, freedom) * error
    return Figure(value=math.exp(log), low=math.exp(log - half), high=math.exp(log + half))


def smallest_of(error: float, freedom: float, p: float, least: float) -> float:
    """The ratio found in a share ``POWER`` of comparisons, at the level ``p`` and over ``1 + least``."""
    if not freedom > 0:
        return math.nan
    room = error * _t(POWER, freedom)
    return math.exp(room + max(error * _t(1 - p / 2, freedom), math.log1p(least)))


def p_value_of(difference: float, error: float, freedom: float) -> float:
    """Two-sided, of the hypothesis that the difference is 0; NaN without error or freedom."""
    return 2 * float(special.stdtr(freedom, -abs(difference) / error)) if error > 0 and freedom > 0 else math.nan
