"""What a reader must know of cells whose measuring ended before their interval was as narrow as asked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cells.naming import equals, out_of
from analysis.page.caveats.caveat import OFF, Caveat, off_by
from analysis.text import significant


def wide_intervals(done: pd.DataFrame) -> list[Caveat]:
    """Caveats on the complete cells of a sweep; those of a single step are listed separately.

    A sweep's rows say whether the interval met the precision target (``is_precise``); null, as a server's rows and old
    ones have it, is not told of.
    """
    is_wide = equals(done, "is_precise", False)
    is_one_step = is_wide & (done["n_samples"] == 1)
    said = []
    if is_one_step.any():
        what = "its figures are" if is_one_step.sum() == 1 else "their figures are"
        text = (
            f"{out_of(is_one_step)} took longer for one step than --max-s allows for a whole cell: {what} from one"
            " step, without an interval."
        )
        said.append(Caveat(text=text, weight=OFF, cells=done[is_one_step]))
    rest = is_wide & ~is_one_step
    if rest.any():
        width = widths(done[rest]).sort_values(ascending=False, kind="stable")
        worst = "" if width.isna().all() else f"; the widest is ±{significant(100 * width.max(), 2)} %"
        text = f"{out_of(rest)} ended at --max-s before the interval was as narrow as --precision-target asks{worst}."
        said.append(Caveat(text=text, weight=off_by(width.max(), rest), cells=done.loc[width.index]))
    return said


def widths(frame: pd.DataFrame) -> pd.Series:
    """The farther end's distance from the median step, over the median step; NaN without ends."""
    middle = frame["step_median_s"].astype("float64")
    above, below = frame["step_median_high_s"] - middle, middle - frame["step_median_low_s"]
    return pd.Series(np.maximum(above.astype("float64"), below.astype("float64")) / middle, index=frame.index)
