"""May this cell be recommended, and its speed."""

from __future__ import annotations

import pandas as pd

from analysis.cells.columns import SERVER, THROUGHPUT
from analysis.cells.rows import Row
from analysis.stats.estimate import Figure, known

KEEPS_UP_RATIO = 0.9
"""A server that completes less than this share of the arrivals asked for falls behind. Random arrivals alone make the
few hundred requests of a cell come up to 8 % slower or faster than asked (two standard deviations of 662)."""


def throughput(row: Row) -> Figure:
    """Items per second with the interval."""
    names = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")
    value, low, high = (known(row[name]) for name in names)
    return Figure(value=value, low=low, high=high)


def usable(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells whose throughput is known; of servers those that keep up with the arrivals and hold their deadline."""
    is_over = (cells["scenario"] == SERVER) & (falls_behind(cells) | misses_deadline(cells))
    return cells[cells[THROUGHPUT[0]].notna() & ~is_over]


def misses_deadline(cells: pd.DataFrame) -> pd.Series:
    """Servers whose p99 is over their deadline."""
    return cells["latency_p99_s"] > cells["deadline_s"]


def falls_behind(cells: pd.DataFrame) -> pd.Series:
    """Servers that complete less than what arrives, or drop requests."""
    offered = cells["rate_per_s"].fillna(cells["max_rate_per_s"])
    return (cells["completed_rate_per_s"] < KEEPS_UP_RATIO * offered) | (cells["n_dropped"] > 0)


def speed(row: Row) -> Figure:
    """A row's throughput with its interval, in items per second."""
    value, low, high = (known(row.get(c)) for c in THROUGHPUT)
    return Figure(value=value, low=low, high=high)
