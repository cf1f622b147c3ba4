"""How far two sides of many cells differ as a whole, where a run, not a cell, is what varies by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.stats.between_runs import (
    MIN_SPREAD,
    Floats,
    Runs,
    estimate_of,
    known_logs,
    logs_of,
    p_value_of,
    smallest_of,
)
from analysis.stats.estimate import Figure


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A shift common to all cells: the ratio with its interval, and the two-sided p value that it is 1.

    Its logarithm has the standard error ``error`` of ``freedom`` degrees of freedom; NaN and 0 where unknown.
    """

    ratio: Figure
    p: float
    error: float
    freedom: float

    def smallest_change(self, p: float, least: float = 0.0) -> float:
        """As ``Spread.smallest_change``."""
        return smallest_of(self.error, self.freedom, p, least)


def common_shift(over: Sequence[Runs], under: Sequence[Runs]) -> Shift:
    """How far all cells together differ: the geometric mean of their ratios, the same cells in both, in one order.

    A run's mean over cells is the unit here, not a cell: where all cells of a run move together, twelve of them say no
    more than one. Student's t with pooled variance, of as many degrees of freedom as there are runs less two. Interval
    and p are unknown where a side has fewer than two runs.
    """
    if not len(over) or len(over) != len(under):
        raise ValueError(f"both sides need the same cells, one or more, got {len(over)} and {len(under)}")
    a, b = (_run_means(cells) for cells in (over, under))
    levels = [float(logs_of(x).mean() - logs_of(y).mean()) for x, y in zip(over, under, strict=True)]
    mean, freedom = math.fsum(levels) / len(levels), a.size + b.size - 2
    if min(a.size, b.size) < 2:  # a variance needs two
        return Shift(ratio=Figure(value=math.exp(mean)), p=math.nan, error=math.nan, freedom=0)
    variance = float(np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / freedom
    error = math.sqrt(max(variance, MIN_SPREAD**2) * (1 / a.size + 1 / b.size))
    found = estimate_of(mean, error, freedom)
    return Shift(ratio=found, p=p_value_of(mean, error, freedom), error=error, freedom=freedom)


def _run_means(cells: Sequence[Runs]) -> Floats:
    """By run, the mean of the cells' distances from their own levels and of these levels; (n_runs,)."""
    table = np.full((len(cells), max(len(runs) for runs in cells)), np.nan)
    for row, runs in zip(table, cells, strict=True):
        row[: len(runs)] = known_logs(runs)
    table = table[:, ~np.isnan(table).all(axis=0)]
    return np.asarray(np.nanmean(table - np.nanmean(table, axis=1, keepdims=True), axis=0), dtype=np.float64)
