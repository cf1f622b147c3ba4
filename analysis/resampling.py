"""Bootstrap of medians by blocks: samples of one round resemble each other, so whole rounds are resampled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

N_DRAWS = 4000
"""Bootstrap draws; the expanded tails of five blocks (0.5 %) then rest on twenty draws."""
MIN_BLOCKS = 3
"""Fewer blocks than this say nothing about how blocks vary."""
_GRID = 512
"""Candidate medians a draw chooses from; error at most 1/512 of the blocks' spread."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Samples of one cell and the block (round) each belongs to; both arrays have shape (n_samples,)."""

    values: Floats
    block: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.values.shape != self.block.shape or self.values.ndim != 1 or not self.values.size:
            raise ValueError(
                f"values and block must be equal, non-empty and one-dimensional, "
                f"got shapes {self.values.shape} and {self.block.shape}"
            )

    @cached_property
    def parts(self) -> list[Floats]:
        """The samples of each block, sorted, in the order of the blocks' numbers."""
        order = np.lexsort((self.values, self.block))
        cuts = np.flatnonzero(np.diff(self.block[order])) + 1
        return np.split(self.values[order], cuts)

    @property
    def n_blocks(self) -> int:
        return len(self.parts)

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    def scaled(self, factor: float) -> Blocks:
        """The same samples times ``factor``, such as one over the items per step."""
        return Blocks(values=self.values * factor, block=self.block)


def median_draws(blocks: Blocks, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Floats:
    """Medians of ``n_draws`` data sets, each made of as many blocks drawn with replacement.

    A draw is a vector of block multiplicities w; its median is the value at which the summed block
    counts, weighted by w, reach one half. That needs one product of matrices instead of a sort a draw.

    Returns:
        Shape (n_draws,), in the unit of the values.
    """
    parts = blocks.parts
    centres = [np.median(part) for part in parts]
    pooled = np.sort(blocks.values)
    # The median of any mixture of blocks lies between the blocks' own medians, give or take one sample.
    low = max(int(np.searchsorted(pooled, min(centres), "left")) - 1, 0)
    high = int(np.searchsorted(pooled, max(centres), "right")) + 1
    grid = pooled[low:high]
    grid = grid[:: -(-grid.size // _GRID)]
    counts = np.stack([np.searchsorted(part, grid, "right") for part in parts]).astype(np.float64)
    sizes = np.array([part.size for part in parts], dtype=np.float64)
    weights = rng.multinomial(len(parts), np.full(len(parts), 1 / len(parts)), size=n_draws).astype(np.float64)
    cumulative = weights @ counts
    half = (weights @ sizes)[:, None] / 2
    last = grid.size - 1
    lower = np.minimum((cumulative < half).sum(axis=1), last)
    upper = np.minimum((cumulative <= half).sum(axis=1), last)
    draws: Floats = (grid[lower] + grid[upper]) / 2
    return draws


def interval(draws: Floats, n_blocks: int, degrees_of_freedom: int, confidence: float = 0.95) -> tuple[float, float]:
    """Expanded percentile interval of bootstrap draws.

    With n blocks the plain percentile interval is too narrow, by sqrt((n - 1) / n) and by the normal
    distribution in place of Student's t; both are put back by moving the percentiles outwards
    (T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69:4, 2015).

    Args:
        draws: Shape (n_draws,).
        n_blocks: Blocks of the side that has fewer.
        degrees_of_freedom: Of Student's t; blocks less the number of sides.
        confidence: Of the interval.
    """
    quantile = stats.t.ppf((1 + confidence) / 2, degrees_of_freedom) * np.sqrt(n_blocks / (n_blocks - 1))
    tail = float(stats.norm.cdf(-quantile))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def p_value(a: Blocks, b: Blocks) -> float:
    """P value of the two-sided hypothesis that samples of ``a`` and ``b`` are of one size.

    The larger of two: Mann-Whitney on the raw samples, which takes all of them as independent, and Welch's t on
    the logarithms of the blocks' medians, which takes only the blocks as independent. Where a round makes its
    samples alike, Mann-Whitney alone finds differences between two runs of the same thing.

    Returns:
        NaN with fewer than three blocks on either side.
    """
    if min(a.n_blocks, b.n_blocks) < MIN_BLOCKS:
        return float("nan")
    by_sample = float(stats.mannwhitneyu(a.values, b.values, alternative="two-sided").pvalue)
    of_a, of_b = (np.log([np.median(part) for part in side.parts]) for side in (a, b))
    if np.ptp(of_a) == 0 and np.ptp(of_b) == 0:  # a coarse clock: no block differs, t is undefined
        return by_sample
    by_block = float(stats.ttest_ind(of_a, of_b, equal_var=False).pvalue)
    return max(by_sample, by_block)


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
