"""The contract's choice over frames: which cells may be recommended, and which is the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.rows import Row, first, records
from analysis.contract import choice
from analysis.contract.limits import Limits


def judged(cells: pd.DataFrame) -> list[Row]:
    """The rows with the columns that the choice looks at."""
    return records(cells[[name for name in choice.CHOSEN_BY if name in cells]])


def mask(cells: pd.DataFrame, holds: Callable[[Row], bool | None]) -> NDArray[np.bool_]:
    """For which cells something of the contract holds, shape (len(cells),)."""
    return np.array([bool(holds(row)) for row in judged(cells)], dtype=np.bool_)


def usable(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells whose throughput is known; of servers those that keep up with the arrivals and hold their deadline."""
    return cells[mask(cells, choice.is_usable)]


def best(cells: pd.DataFrame, objective: str = "throughput") -> Row | None:
    """The best cell of a task by an objective; None where none may be chosen."""
    rows = judged(cells)
    found = choice.best(rows, objective)
    return next((first(cells.iloc[[i]]) for i, row in enumerate(rows) if row is found), None)


def front(cells: pd.DataFrame, objectives: Sequence[str], limits: Limits) -> NDArray[np.bool_]:
    """Which cells of one search are on its Pareto front, shape (len(cells),)."""
    return np.array(choice.front(judged(cells), objectives, limits), dtype=np.bool_)
