"""Statistics of samples that assume no distribution: intervals by order statistics, robust lines, honest percentiles."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

MIN_SAMPLES = {"p50": 11, "p90": 64, "p95": 130, "p99": 662, "p999": 6636}
"""Samples from which a percentile may be reported: MLPerf LoadGen's early-stopping rule with confidence 0.99 and one
allowed sample over the latency (its results.cc; 64 and 662 are its published minimums, the others the same rule)."""
_QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}

UNSTABLE_IQR, VERY_UNSTABLE_IQR = 0.10, 0.25
"""Interquartile range over median from which torch.utils.benchmark warns of fluctuation."""
DRIFT_RATIO, DRIFT_P = 0.05, 0.01


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A median with its interval; the ends are None where there are too few samples for the confidence."""

    low: float | None
    median: float
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Change of the step over the rounds.

    Attributes:
        ratio: From first to last round by a robust line, over the median.
        is_drifting: Significant (Kendall's tau, p under 1 %) and over 5 %.
    """

    ratio: float
    is_drifting: bool


@functools.lru_cache(maxsize=4096)
def _interval_ranks(n: int, confidence: float) -> tuple[int, int] | None:
    """Ranks (from 0) of the order statistics that enclose the median with at least the confidence.

    The number of samples under the median is Binomial(n, 1/2) whatever their distribution
    (David and Nagaraja, Order Statistics, 7.1).
    """
    tail = (1 - confidence) / 2
    low = int(stats.binom.ppf(tail, n, 0.5)) - 1
    while low >= 0 and stats.binom.cdf(low, n, 0.5) > tail:
        low -= 1
    return None if low < 0 else (low, n - 1 - low)


def median_interval(samples: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Interval:
    """The median and its distribution-free interval.

    Args:
        samples: At least one value.
        confidence: Of the interval; the true coverage is at least this.

    Raises:
        ValueError: Without samples.
    """
    values = np.asarray(samples, dtype=float)
    n = len(values)
    if n == 0:
        raise ValueError(f"a median needs samples, got {n=}")
    ranks = _interval_ranks(n, confidence)
    if ranks is None:
        return Interval(low=None, median=float(np.median(values)), high=None)
    middle = (n - 1) // 2, n // 2
    ordered = np.partition(values, sorted({*ranks, *middle}))
    median = float(ordered[middle[0]] + ordered[middle[1]]) / 2
    return Interval(low=float(ordered[ranks[0]]), median=median, high=float(ordered[ranks[1]]))


def iqr_ratio(samples: Sequence[float] | np.ndarray) -> float | None:
    """Interquartile range over median; None from fewer than four samples or for a median of zero."""
    if len(samples) < 4:
        return None
    low, median, high = np.percentile(samples, [25, 50, 75])
    return float((high - low) / median) if median > 0 else None


def stability(ratio: float | None) -> str | None:
    """``stable``, ``unstable`` (over 10 %) or ``very unstable`` (over 25 %) from the IQR over the median."""
    if ratio is None:
        return None
    if ratio > VERY_UNSTABLE_IQR:
        return "very unstable"
    return "unstable" if ratio > UNSTABLE_IQR else "stable"


def percentiles(samples: Sequence[float] | np.ndarray) -> dict[str, float | None]:
    """p50, p90, p95, p99 and p99.9 (``p999``), each None from too few samples.

    Each is an order statistic that was really observed: the smallest sample with at least that share of the
    samples at or under it.
    """
    values = np.sort(np.asarray(samples, dtype=float))
    n = len(values)
    return {
        name: float(values[min(n - 1, int(np.ceil(q * n)) - 1)]) if n >= MIN_SAMPLES[name] else None
        for name, q in _QUANTILES.items()
    }


def drift(round_medians: Sequence[float] | np.ndarray) -> Drift | None:
    """Drift over the rounds by a Theil-Sen line and Kendall's tau; None from fewer than five rounds."""
    values = np.asarray(round_medians, dtype=float)
    if len(values) < 5:
        return None
    index = np.arange(len(values))
    slope = stats.theilslopes(values, index).slope
    ratio = float(slope * (len(values) - 1) / np.median(values))
    p = stats.kendalltau(index, values).pvalue
    return Drift(ratio=ratio, is_drifting=bool(p < DRIFT_P and abs(ratio) > DRIFT_RATIO))
