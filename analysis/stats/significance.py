"""How surely many cells differ: the correction of their p values for the number of cells."""

from __future__ import annotations

import numpy as np

from analysis.stats.between_runs import Floats


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
