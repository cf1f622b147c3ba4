"""How surely two sides of many cells differ: p values of pairs, and their correction for the number of pairs."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from analysis.resampling import MIN_BLOCKS, Blocks, Floats

_Moments = tuple[float, float, float]


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
        self._by_sample.append(float(stats.mannwhitneyu(a.values, b.values, alternative="two-sided").pvalue))
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


def _log_moments(blocks: Blocks) -> _Moments:
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
