"""Pareto fronts: the cells that no other cell beats in every respect at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def pareto_mask(
    frame: pd.DataFrame, *, maximise: Sequence[str] = (), minimise: Sequence[str] = ()
) -> NDArray[np.bool_]:
    """Say which rows are on the Pareto front of the named columns.

    A row is dominated if another is at least as good in every column and better in one; equal rows are all
    kept. A row with a null in any of the columns is neither on the front nor dominates.

    Args:
        frame: One row a candidate.
        maximise: Columns of which more is better.
        minimise: Columns of which less is better.

    Returns:
        Shape (len(frame),), true on the front.

    Raises:
        ValueError: Where no column is named.
    """
    if not (maximise or minimise):
        raise ValueError(f"name at least one column, got {maximise=} and {minimise=}")
    columns = [frame[name].to_numpy(np.float64, na_value=np.nan) for name in maximise]
    columns += [-frame[name].to_numpy(np.float64, na_value=np.nan) for name in minimise]
    points = np.stack(columns, axis=1)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    # Best first by the first column, then the next: a row can only be dominated by one before it.
    order = known[np.lexsort(points[known, ::-1].T)[::-1]]
    front: list[int] = []
    for row in order:
        rivals = points[front]
        beaten = (rivals >= points[row]).all(axis=1) & (rivals > points[row]).any(axis=1)
        if not beaten.any():
            front.append(int(row))
    mask = np.zeros(len(frame), dtype=np.bool_)
    mask[front] = True
    return mask
