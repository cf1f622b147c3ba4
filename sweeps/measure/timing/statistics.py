"""Statistics of samples: medians with intervals, percentiles, spread, drift."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.contract.autocorrelation import MIN_VALUES, mean_half_width, trend_p_value
from analysis.contract.cells import MIN_SAMPLES

# Tenths of a percent, so that ranks are whole numbers: 0.9 * 70 in floating point may lie over 63.
_PERMILLE = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p999": 999}

UNSTABLE_IQR, VERY_UNSTABLE_IQR = 0.10, 0.25
"""Interquartile range over median from which torch.utils.benchmark warns of fluctuation."""
DRIFT_RATIO, DRIFT_P, TREND_P = 0.05, 0.01, 0.03
MIN_DRIFT_ROUNDS = 6
MIN_SLOWING_ROUNDS, SLOWING_RATIO, SLOWING_TAU = 4, 0.10, 0.8
"""Of five rounds even a perfect order has p = 2/5! = 1.7 %, so that no drift could be significant."""
MAX_DRIFT_ROUNDS = 500
"""The line needs the slope of every pair; more rounds are averaged in neighbouring groups first."""

MIN_BLOCKS, MAX_BLOCKS = 14, 32
"""Blocks of neighbouring samples whose medians an interval rests on."""
MAX_LOG = 50.0
"""So many natural logarithms from the median all is said: exp() of more may be infinite."""

Samples = Sequence[float] | np.ndarray


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A median with its interval; the ends are None where there are too few samples for the confidence."""

    low: float | None
    median: float
    high: float | None

    def half_width_ratio(self) -> float | None:
        """The farther end's distance from the median, over the median; None without ends."""
        if self.low is None or self.high is None or self.median <= 0:
            return None
        return max(self.high - self.median, self.median - self.low) / self.median


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Change of the step over the rounds.

    Attributes:
        ratio: From first to last round by a robust line, over the median.
        is_drifting: Over 5 %, and significant both by Kendall's tau (p under 1 %) and by a line whose errors resemble
            their neighbours (p under 3 %).
    """

    ratio: float
    is_drifting: bool


@functools.lru_cache(maxsize=4096)
def _binomial_rank(n: int, confidence: float) -> int | None:
    """Rank (from 0) of the lower end of the median's interval; the upper end is its mirror image.

    The number of samples under the median is Binomial(n, 1/2) whatever their distribution
    (David and Nagaraja, Order Statistics, 7.1).
    """
    tail = (1 - confidence) / 2
    rank = math.ceil(special.bdtrik(tail, n, 0.5))
    while rank >= 0 and special.bdtr(rank, n, 0.5) > tail:
        rank -= 1
    return None if rank < 0 else rank


def median_interval(
    samples: Samples, confidence: float = 0.95, *, round_sizes: Sequence[int] | None = None
) -> Interval:
    """The median and its interval.

    For independent samples it is that by order statistics, whatever their distribution. Samples of rounds resemble
    those before them, within a round and from one to the next, so theirs is at least as wide as what the medians of
    neighbouring samples, 14 to 32 blocks, tell of their own mean: see ``autocorrelation.py``. As many
    blocks as rounds where there are so many, for a round more tells more; never more, since in short blocks the noise
    of single steps hides how the blocks resemble each other. ``tests/benchmarks/simulations/intervals.py`` shows how
    many of them cover.

    Args:
        samples: At least one value, in the order of measurement.
        confidence: Of the interval.
        round_sizes: How many samples each round has; without them the samples are taken as independent.

    Raises:
        ValueError: Without samples, or if the rounds do not add up to the samples.
    """
    values = np.asarray(samples, dtype=float)
    n = len(values)
    if n == 0:
        raise ValueError(f"a median needs samples, got {n=}")
    if round_sizes is not None and (sum(round_sizes) != n or min(round_sizes) < 1):
        raise ValueError(f"rounds must have samples and add up to all of them, got {sum(round_sizes)} of {n}")
    rank = _binomial_rank(n, confidence)
    ordered = np.sort(values)
    median = float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    ends = [] if rank is None else [float(ordered[rank]), float(ordered[n - 1 - rank])]
    if round_sizes is not None:
        n_blocks = min(n, max(MIN_BLOCKS, min(MAX_BLOCKS, len(round_sizes))))
        ends = [] if n_blocks < MIN_VALUES else [*ends, *_block_ends(values, median, n_blocks, confidence)]
    return Interval(low=min(ends, default=None), median=median, high=max(ends, default=None))


def _block_ends(values: np.ndarray, median: float, n_blocks: int, confidence: float) -> tuple[float, float]:
    """Both ends by the medians of blocks of neighbouring samples; on the logarithmic scale, as times have one."""
    blocks = np.array([np.median(block) for block in np.array_split(values, n_blocks)])
    if median <= 0 or blocks.min() <= 0:  # of a clock so coarse that a step took no time
        half = mean_half_width(blocks, median, confidence)
        return median - half, median + half
    half = mean_half_width(np.log(blocks / median), 0.0, confidence)
    return median * math.exp(-half), median * math.exp(min(half, MAX_LOG))


def iqr_ratio(samples: Samples) -> float | None:
    """Interquartile range over median; None from fewer than four samples or for a median of zero."""
    if len(samples) < 4:
        return None
    low, median, high = np.percentile(samples, [25, 50, 75])
    return float((high - low) / median) if median > 0 else None


def stability(ratio: float | None) -> str | None:
    """``stable``, ``unstable`` (over 10 %) or ``very unstable`` (over 25 %) from the IQR over the median."""
    if ratio is None:
        return None
    if ratio <= UNSTABLE_IQR:
        return "stable"
    return "unstable" if ratio <= VERY_UNSTABLE_IQR else "very unstable"


def percentiles(samples: Samples) -> dict[str, float | None]:
    """p50, p90, p95, p99 and p99.9 (``p999``), each None from too few samples.

    Each is an order statistic that was really observed, rounded up: the smallest sample with at least that share
    of the samples at or under it. Nothing is interpolated.
    """
    values = np.asarray(samples, dtype=float)
    n = len(values)
    ranks = {name: -(-permille * n // 1000) - 1 for name, permille in _PERMILLE.items() if n >= MIN_SAMPLES[name]}
    ordered = np.partition(values, sorted(set(ranks.values()))) if ranks else values
    return {name: float(ordered[ranks[name]]) if name in ranks else None for name in _PERMILLE}


def slowing(round_medians: Samples) -> float | None:
    """By what share the last third of the rounds is slower than the first; None if they did not slow down steadily.

    A tenth at least, and of all pairs of rounds nine in ten with the later one slower (Kendall's tau from 0.8): five
    equal rounds fall into such an order by chance in 4 of 100 cells, and then rarely a tenth apart. Unlike ``drift`` it
    proves nothing, but needs four rounds only, which is what a cell of long steps has.
    """
    values = np.asarray(round_medians, dtype=float)
    if len(values) < MIN_SLOWING_ROUNDS:
        return None
    first, last = (float(np.median(part)) for part in (values[: len(values) // 3], values[-(len(values) // 3) :]))
    if not last >= first * (1 + SLOWING_RATIO):
        return None
    tau, _ = _kendall(values)
    return last / first - 1 if tau >= SLOWING_TAU else None


def _kendall(values: np.ndarray) -> tuple[float, float]:
    """Kendall's tau of values with their order, and its p; imported here, which takes half a second few cells need."""
    from scipy import stats

    found = stats.kendalltau(np.arange(len(values)), values)
    return float(found.statistic), float(found.pvalue)


def _theil_slope(values: np.ndarray) -> float:
    """The median of the slopes of all pairs of evenly spaced values (Theil 1950)."""
    i, j = np.triu_indices(len(values), 1)
    return float(np.median((values[j] - values[i]) / (j - i)))


def drift(round_medians: Samples) -> Drift | None:
    """Drift over the rounds by a Theil-Sen line; None from fewer than six rounds.

    Rounds that only resemble their neighbours wander, and Kendall's tau alone takes half of such walks for drifts.
    """
    values = np.asarray(round_medians, dtype=float)
    if len(values) < MIN_DRIFT_ROUNDS or np.median(values) <= 0:
        return None
    if len(values) > MAX_DRIFT_ROUNDS:
        values = np.array([np.median(group) for group in np.array_split(values, MAX_DRIFT_ROUNDS)])
    ratio = float(_theil_slope(values) * (len(values) - 1) / np.median(values))
    is_clear = abs(ratio) > DRIFT_RATIO and trend_p_value(values) < TREND_P  # first, for it imports nothing
    return Drift(ratio=ratio, is_drifting=bool(is_clear and _kendall(values)[1] < DRIFT_P))
