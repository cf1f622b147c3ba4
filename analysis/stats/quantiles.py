"""Intervals of percentiles, from the raw samples, for samples of one round that resemble each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.contract.autocorrelation import MIN_VALUES, mean_half_width

N_BATCHES = 20  # runs of neighbouring requests that a server's one round is cut into; its queue makes neighbours alike


def quantile_interval(
    values: NDArray[np.float64], share: float, sizes: Sequence[int] = (), confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """The interval of a quantile by order statistics, whatever the distribution.

    The samples under the quantile are Binomial(n, share) if they are independent (David and Nagaraja, Order
    Statistics, 7.1). With clusters the interval is the wider of that one and Woodruff's (1952): as many ranks as
    the share of samples under the quantile varies from cluster to cluster. An end is None where it lies beyond the
    samples.

    ``values`` are in the order of measurement, shape (n,); ``sizes`` those of the clusters, in that order too.
    ValueError if the share is not between 0 and 1, or the clusters are not all of the samples.
    """
    n = len(values)
    if not 0 < share < 1 or n == 0:
        raise ValueError(f"a share between 0 and 1 and samples are needed, got {share=} and {n=}")
    if len(sizes) and sum(sizes) != n:
        raise ValueError(f"the clusters must add up to all samples, got {sum(sizes)} of {n}")
    tail = (1 - confidence) / 2
    low, high = stats.binom.ppf([tail, 1 - tail], n, share) - np.array([1, 0])  # ranks from 0
    ordered = np.sort(values)
    if len(sizes) > 1:
        middle = math.ceil(share * n) - 1
        half = _clustered_half_width(values, float(ordered[middle]), np.asarray(sizes), share, confidence)
        low, high = min(low, math.floor(middle - half)), max(high, math.ceil(middle + half))
    return (float(ordered[int(low)]) if low >= 0 else None, float(ordered[int(high)]) if high < n else None)


def _clustered_half_width(
    values: NDArray[np.float64], quantile: float, sizes: NDArray[np.int64], share: float, confidence: float
) -> float:
    """Half the interval's width in ranks, from how much each cluster's share under the quantile is off.

    Neighbouring clusters may resemble each other (``mean_half_width``); of fewer than that needs they are taken as
    independent, with the variance of a ratio over clusters (Cochran, Sampling Techniques, 6.3).
    """
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    excess = np.add.reduceat((values <= quantile).astype(np.float64), starts) - share * sizes
    n = len(sizes)
    if n >= MIN_VALUES:
        return n * mean_half_width(excess, float(excess.mean()), confidence)
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    return t * math.sqrt(n / (n - 1) * float(np.sum(excess**2)))


def cluster_sizes(rounds: NDArray[np.int64]) -> list[int]:
    """Samples in each round of (n,) ascending ones; of a single round, in each of ``N_BATCHES`` runs of neighbours."""
    _, counts = np.unique(rounds, return_counts=True)
    if len(counts) > 1:
        return [int(n) for n in counts]
    return [len(part) for part in np.array_split(rounds, min(N_BATCHES, len(rounds)))]
