"""What a reader must know of cells whose measuring ended before their interval was as narrow as asked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cells.naming import equals, out_of
from analysis.text import significant


def wide_intervals(done: pd.DataFrame) -> list[str]:
    """Sentences, not escaped, on the complete cells of a sweep; those of a single step are told apart.

    A sweep's rows say whether the interval met the precision target (``is_precise``); null, as a server's rows and old
    ones have it, is not told of.
    """
    is_wide = equals(done, "is_precise", False)
    is_one_step = is_wide & (done["n_samples"] == 1)
    said = []
    if is_one_step.any():
        what = "its figures are" if is_one_step.sum() == 1 else "their figures are"
        said.append(
            f"{out_of(is_one_step)} took longer for one step than --max-s allows for a whole cell: {what} from one"
            " step, without an interval."
        )
    rest = is_wide & ~is_one_step
    if rest.any():
        width = widths(done[rest])
        worst = "" if width.isna().all() else f"; the widest is ±{significant(100 * width.max(), 2)} %"
        said.append(
            f"{out_of(rest)} ended at --max-s before the interval was as narrow as --precision-target asks{worst}."
        )
    return said


def widths(frame: pd.DataFrame) -> pd.Series:
    """The farther end's distance from the median step, over the median step; NaN without ends."""
    middle = frame["step_median_s"].astype("float64")
    above, below = frame["step_median_high_s"] - middle, middle - frame["step_median_low_s"]
    return pd.Series(np.maximum(above.astype("float64"), below.astype("float64")) / middle, index=frame.index)
