"""Bootstrap of medians by blocks: samples of one round resemble each other, so whole rounds are resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

N_DRAWS = 4000  # bootstrap draws; the expanded tails of five blocks (0.5 %) then rest on twenty draws
MIN_BLOCKS = 3  # fewer blocks than this say nothing about how blocks vary
MIN_BOOTSTRAPPED = 5  # fewer blocks than this give too few different draws for an interval
_GRID = 512  # candidate medians a draw chooses from; error at most 1/512 of the blocks' spread
_MAX_ENUMERATED = 6  # with so many blocks or fewer the different draws (462 of six) are far fewer than those made


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
        return np.split(self.values[order], np.flatnonzero(np.diff(self.block[order])) + 1)

    @cached_property
    def ordered(self) -> Floats:
        """All samples, sorted."""
        return np.sort(self.values)

    @property
    def n_blocks(self) -> int:
        return len(self.parts)

    @cached_property
    def block_medians(self) -> Floats:
        """Shape (n_blocks,), in the order of the blocks' numbers."""
        return np.array([(part[(part.size - 1) // 2] + part[part.size // 2]) / 2 for part in self.parts])

    @cached_property
    def median(self) -> float:
        return float(self.ordered[(self.values.size - 1) // 2] + self.ordered[self.values.size // 2]) / 2

    def scaled(self, factor: float) -> Blocks:
        """The same samples times ``factor``, such as one over the items per step."""
        return Blocks(values=self.values * factor, block=self.block)


@cache
def _all_draws(n: int) -> tuple[Floats, NDArray[np.int64]]:
    """The different multiplicities of ``n`` blocks in ``n`` draws, and which of them each possible draw has."""
    ordered = np.indices((n,) * n).reshape(n, -1)
    counts = np.stack([(ordered == block).sum(axis=0) for block in range(n)], axis=1)
    weights, which = np.unique(counts, axis=0, return_inverse=True)
    return weights.astype(np.float64), which.ravel()


def _draw_weights(n: int, n_draws: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Block multiplicities, and for each draw which row of them it is; few blocks have few different ones."""
    if n > _MAX_ENUMERATED:
        return rng.multinomial(n, np.full(n, 1 / n), size=n_draws).astype(np.float64), np.arange(n_draws)
    weights, which = _all_draws(n)
    return weights, which[rng.integers(0, which.size, n_draws)]


def median_draws(blocks: Blocks, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Floats:
    """Medians of ``n_draws`` data sets, each made of as many blocks drawn with replacement.

    A draw is a vector of block multiplicities w; its median is the value at which the summed block
    counts, weighted by w, reach one half. That needs one product of matrices instead of a sort a draw.
    """
    pooled = blocks.ordered
    # The middle two samples of any mixture of blocks lie between the lowest and the highest of the blocks' own.
    middle = [(part[(part.size - 1) // 2], part[part.size // 2]) for part in blocks.parts]
    low = int(np.searchsorted(pooled, min(lower for lower, _ in middle), "left"))
    high = int(np.searchsorted(pooled, max(upper for _, upper in middle), "right"))
    grid = pooled[low:high]
    grid = grid[:: -(-grid.size // _GRID)]
    counts = np.stack([np.searchsorted(part, grid, "right") for part in blocks.parts]).astype(np.float64)
    sizes = np.array([part.size for part in blocks.parts], dtype=np.float64)
    weights, chosen = _draw_weights(blocks.n_blocks, n_draws, rng)
    cumulative = weights @ counts
    half = (weights @ sizes)[:, None] / 2
    medians: Floats = (grid[_first(cumulative >= half)] + grid[_first(cumulative > half)]) / 2
    return medians[chosen]


def _first(is_reached: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The first column that is true in each row, the last where none is."""
    first: NDArray[np.intp] = np.where(is_reached[:, -1], is_reached.argmax(axis=1), is_reached.shape[1] - 1)
    return first


@cache
def _tail(n_blocks: int, degrees_of_freedom: int, confidence: float) -> float:
    quantile = stats.t.ppf((1 + confidence) / 2, degrees_of_freedom) * math.sqrt(n_blocks / (n_blocks - 1))
    return float(stats.norm.cdf(-quantile))


def interval(draws: Floats, n_blocks: int, degrees_of_freedom: int, confidence: float = 0.95) -> tuple[float, float]:
    """Expanded percentile interval of bootstrap draws; ``n_blocks`` of the side that has fewer.

    With n blocks the plain percentile interval is too narrow, by sqrt((n - 1) / n) and by the normal
    distribution in place of Student's t; both are put back by moving the percentiles outwards
    (T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69:4, 2015).
    Student's t has as many degrees of freedom as there are blocks, less the number of sides.
    """
    tail = _tail(n_blocks, degrees_of_freedom, confidence)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def ratio_interval(a: Blocks, b: Blocks, draws: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the ratio of the medians of ``a`` and ``b``, of three blocks or more, and its ``draws``.

    The bootstrap's where both have five blocks or more. Of fewer it cannot be had: three blocks give ten different
    medians, and 90 % of such intervals, not 95 %, would hold the truth. There it is Welch's, by Student's t on the
    logarithms of the blocks' medians.
    """
    n = a.n_blocks, b.n_blocks
    if min(n) >= MIN_BOOTSTRAPPED:
        return interval(draws, min(n), sum(n) - 2, confidence)
    logs = [np.log(blocks.block_medians) for blocks in (a, b)]
    parts = [float(log.var(ddof=1)) / log.size for log in logs]
    error = math.sqrt(sum(parts))
    if error == 0:
        return a.median / b.median, a.median / b.median
    freedom = sum(parts) ** 2 / sum(part**2 / (log.size - 1) for part, log in zip(parts, logs, strict=True))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return a.median / b.median * math.exp(-half), a.median / b.median * math.exp(half)
