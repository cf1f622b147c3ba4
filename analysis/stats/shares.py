"""Shares of a number of items, such as an accuracy, with their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.stats.estimate import Figure

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


def wilson(shares: NDArray[np.float64], n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends of the 95 % interval of shares of ``n`` items by Wilson's score, each of the shares' shape.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22:158, 1927.
    """
    middle = (shares + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * np.sqrt(shares * (1 - shares) / n + (Z / (2 * n)) ** 2) / (1 + Z * Z / n)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def share_of(value: float | None, n: int | None) -> Figure:
    """A share of ``n`` items with its 95 % interval."""
    if value is None or not n:
        return Figure(value=value)
    low, high = wilson(np.array([value]), n)
    return Figure(value=value, low=float(low[0]), high=float(high[0]))
