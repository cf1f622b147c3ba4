"""How surely two sides of many cells differ: p values of pairs, and their correction for the number of pairs."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from analysis.stats.resampling import MIN_BLOCKS, Blocks, Floats

_MAX_EXACT = 8  # SciPy takes the exact distribution up to so many samples of the smaller side


class Significance:
    """Gathers pairs one by one, keeping seven numbers of each, and gives the p values of all.

    A p value is that of the two-sided hypothesis that samples of both sides are of one size: the larger of two.
    Mann-Whitney's on the raw samples takes all of them as independent; Welch's t on the logarithms of the
    blocks' medians takes only the blocks as independent. Where a round makes its samples alike, Mann-Whitney
    alone finds differences between two runs of the same thing.
    """

    def __init__(self) -> None:
        self._by_sample: list[float] = []
        self._of_blocks: list[tuple[float, ...]] = []

    def add(self, a: Blocks | None, b: Blocks | None) -> None:
        """Add a pair; one without samples, or with fewer than three blocks on a side, has NaN for p."""
        if a is None or b is None or min(a.n_blocks, b.n_blocks) < MIN_BLOCKS:
            self._by_sample.append(math.nan)
            self._of_blocks.append((math.nan,) * 6)
            return
        self._by_sample.append(mann_whitney(a.ordered, b.ordered))
        self._of_blocks.append(_log_moments(a) + _log_moments(b))

    def p_values(self) -> Floats:
        """Shape (pairs added,), not corrected for their number."""
        by_sample = np.asarray(self._by_sample, dtype=np.float64)
        moments = np.asarray(self._of_blocks, dtype=np.float64).reshape(-1, 6).T
        with np.errstate(divide="ignore", invalid="ignore"):
            by_block = stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue
        # A coarse clock can give all blocks of a side one median: t is undefined, and Mann-Whitney alone must do.
        is_coarse = (moments[1] == 0) & (moments[4] == 0)
        return np.where(is_coarse, by_sample, np.maximum(by_sample, by_block))


def mann_whitney(a: Floats, b: Floats) -> float:
    """Two-sided p value of the Mann-Whitney test; ``a`` and ``b`` sorted, of shapes (n_a,) and (n_b,).

    As SciPy's ``mannwhitneyu``, whose checks of its arguments take longer than the test where there are thousands of
    pairs: the normal distribution with corrections for ties and continuity, and of few samples SciPy's exact one.
    """
    n_a, n_b = a.size, b.size
    if min(n_a, n_b) <= _MAX_EXACT:
        return float(stats.mannwhitneyu(a, b, alternative="two-sided").pvalue)
    u = float(np.searchsorted(b, a, "left").sum() + np.searchsorted(b, a, "right").sum()) / 2
    pooled = np.sort(np.concatenate([a, b]), kind="stable")  # merges what is sorted already
    ends = np.flatnonzero(np.diff(pooled, append=np.inf))
    ties = np.diff(ends, prepend=-1).astype(np.float64)
    n = n_a + n_b
    variance = n_a * n_b / 12 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, abs(u - n_a * n_b / 2) - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _log_moments(blocks: Blocks) -> tuple[float, float, float]:
    """Mean, standard deviation and number of the logarithms of the blocks' medians."""
    logs = np.log(blocks.block_medians)
    is_constant = np.ptp(logs) == 0  # rounding would leave a deviation of 1e-16
    return float(logs.mean()), 0.0 if is_constant else float(logs.std(ddof=1)), float(logs.size)


def holm(p_values: Floats) -> Floats:
    """P values corrected for their number by Holm's step-down method; NaN stays NaN and is not counted.

    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6:2, 1979.
    """
    corrected = np.full(p_values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected
