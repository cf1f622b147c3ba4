"""Means and trends of values that resemble their neighbours in time, with uncertainties that know it.

Clocks, caches and neighbours change slowly, so that twenty values may tell no more than three would. The values are
taken as a line with errors of first order, e[t] = rho e[t-1] + noise, whose rho is not known and is integrated out
(Zellner and Tiao, "Bayesian Analysis of the Regression Model With Autocorrelated Errors", JASA 59, 1964), under the
reference prior 1 / sqrt(1 - rho^2) (Berger and Yang, Econometric Theory 10, 1994) on rho from 0. Where an estimate of
rho would be put in its place, few values would make both rho and the interval too small.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special

HIGHEST_RHO = 0.99
N_RHOS = 20
MIN_VALUES = 5
"""Fewer say nothing on how values change with time."""


@functools.cache
def _rhos() -> np.ndarray:
    """Correlations that share the prior's mass: it is uniform over the angle whose sine is rho."""
    return np.sin((np.arange(N_RHOS) + 0.5) / N_RHOS * math.asin(HIGHEST_RHO))


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What values tell of the last coefficient of a line: a mixture of Student's t, one of each rho.

    Attributes:
        weights: Posterior probability of each rho.
        estimates: The coefficient under it.
        errors: Its standard error.
        degrees: Degrees of freedom.
    """

    weights: np.ndarray
    estimates: np.ndarray
    errors: np.ndarray
    degrees: int

    def below(self, value: float) -> float:
        """Probability that the coefficient is below a value."""
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.nan_to_num((value - self.estimates) / self.errors)  # of no error and no distance: the middle
        return float(self.weights @ special.stdtr(self.degrees, z))

    def half_width(self, centre: float, confidence: float) -> float:
        """Half the width of the interval around ``centre`` that holds the coefficient with a probability."""
        if not self.errors.any():
            return float(np.abs(self.estimates - centre).max())

        def missing(half: float) -> float:
            return confidence - self.below(centre + half) + self.below(centre - half)

        high = float((np.abs(self.estimates - centre) + self.errors).max())
        while missing(high) > 0:
            high *= 4
        from scipy import optimize  # 0.2 s of a core, which cells of few rounds do without

        return float(optimize.brentq(missing, 0.0, high, rtol=1e-4))


def _whitened(columns: np.ndarray) -> np.ndarray:
    """Columns, shape (n, k), less rho times the row before: shape (rhos, n, k), whose errors are independent."""
    rho = _rhos()[:, None, None]
    return np.concatenate([np.sqrt(1 - rho**2) * columns[:1], columns[1:] - rho * columns[:-1]], axis=1)


def _fit(values: np.ndarray, design: np.ndarray) -> Posterior:
    """Regress ``values``, shape (n,), on the columns of ``design``, shape (n, k)."""
    n, k = design.shape
    x, y = _whitened(design), _whitened(values[:, None])
    gram = x.transpose(0, 2, 1) @ x
    inverse = np.linalg.inv(gram)
    found = inverse @ x.transpose(0, 2, 1) @ y
    squares = np.maximum(((y - x @ found) ** 2).sum(axis=(1, 2)), np.finfo(float).tiny)
    logs = 0.5 * np.log(1 - _rhos() ** 2) - 0.5 * np.log(np.linalg.det(gram)) - (n - k) / 2 * np.log(squares)
    weights = np.exp(logs - logs.max())
    return Posterior(
        weights=weights / weights.sum(), estimates=found[:, -1, 0],
        errors=np.sqrt(inverse[:, -1, -1] * squares / (n - k)), degrees=n - k,
    )  # fmt: skip


def mean_half_width(values: np.ndarray, centre: float, confidence: float = 0.95) -> float:
    """Half the width of the interval around ``centre`` for the mean that ``values`` vary around.

    Args:
        values: Shape (n,), in the order of measurement, equally far apart in time; at least ``MIN_VALUES``.
        centre: An estimate of the mean, such as a median of what the values are made of.
        confidence: Probability that the mean is within.

    Raises:
        ValueError: For too few values.
    """
    if len(values) < MIN_VALUES:
        raise ValueError(f"at least {MIN_VALUES} values are needed, got {len(values)}")
    if np.ptp(values) == 0:  # rounding would leave a deviation
        return abs(float(values[0]) - centre)
    return _fit(values, np.ones((len(values), 1))).half_width(centre, confidence)


def trend_p_value(values: np.ndarray) -> float:
    """Two-sided p value of a straight trend over values in the order of time, shape (n,); 1 for constant ones.

    Raises:
        ValueError: For too few values.
    """
    if len(values) < MIN_VALUES:
        raise ValueError(f"at least {MIN_VALUES} values are needed, got {len(values)}")
    if np.ptp(values) == 0:
        return 1.0
    time = np.linspace(-1.0, 1.0, len(values))
    below = _fit(values, np.stack([np.ones_like(time), time], axis=1)).below(0.0)
    return 2 * min(below, 1 - below)
