"""A table of cells: words that name each cell, its batch size and rates, then figures that at least one cell has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.cells import present, varying
from analysis.render import MISSING, is_missing, number, table
from analysis.grouping import word_columns, words
from analysis.summaries import Row, records

MAX_ROWS = 500
"""Rows of a table; nobody reads more, and the Parquet files have them all."""
NUMBERS = (("learning_rate", "learning rate"), ("batch_size", "batch size"), ("rate_per_s", "rate (1/s)"))


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of figures.

    Attributes:
        title: With its unit.
        show: A row's figure as text, escaped.
        needs: Columns of the frame of which one must have a value somewhere, or the column is left out.
    """

    title: str
    show: Callable[[Row], str]
    needs: Sequence[str] = ()


def plain(title: str, column: str, scale: float = 1.0) -> Column:
    """A column that shows one column of the frame times ``scale``, three digits long."""
    return Column(title=title, show=lambda row: scaled(row.get(column), scale), needs=[column])


def between(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of values (first name) with the digits that their intervals (low, high) support."""

    def show(row: Row) -> str:
        value, low, high = (row.get(c) for c in columns)
        return number(*(None if is_missing(v) else float(v) * scale for v in (value, low, high)))

    return Column(title=title, show=show, needs=columns[:1])


def interval(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of intervals, ``low to high``; n/a where an end is unknown."""

    def show(row: Row) -> str:
        if any(is_missing(row.get(c)) for c in columns):
            return MISSING
        value, low, high = (float(row[c]) * scale for c in columns)
        return f"{end(low, low, high, value)} to {end(high, low, high, value)}"

    return Column(title=title, show=show, needs=columns[1:])


def end(value: float, low: float, high: float, middle: float) -> str:
    """An end of an interval, with as many digits as tell the two ends apart."""
    return number(value, min(low, middle), max(high, middle)) if low != high else number(value)


def scaled(value: Any, scale: float = 1.0) -> str:
    """A number times ``scale``, three digits long; n/a if null."""
    return number(None if is_missing(value) else float(value) * scale)


def whole(value: Any) -> str:
    """A count."""
    return MISSING if is_missing(value) else f"{int(value):,}"


def cell_table(
    frame: pd.DataFrame, columns: Sequence[Column], *, without: Sequence[str] = (), max_rows: int = MAX_ROWS
) -> str:
    """A Markdown table with one row a cell; empty without cells, and cut after ``max_rows`` rows, saying so.

    Args:
        frame: The cells.
        columns: Figures, in order.
        without: Columns of the frame that do not name the cell.
        max_rows: Rows shown.
    """
    if frame.empty:
        return ""
    names = word_columns(frame, without)
    settings = [(c, title) for c, title in NUMBERS if c not in without and _is_told(frame, c)]
    shown = [column for column in columns if not column.needs or present(frame, column.needs)]
    headers = [*(c.replace("_", " ") for c in names), *(title for _, title in settings), *(c.title for c in shown)]
    rows = [
        [*words(row, names), *(setting(row, c) for c, _ in settings), *(column.show(row) for column in shown)]
        for row in records(frame.head(max_rows))
    ]
    text = table(headers, rows, n_left=len(names))
    left = len(frame) - max_rows
    return f"{text}\n\n{left:,} more rows are in the Parquet files." if left > 0 else text


def _is_told(frame: pd.DataFrame, column: str) -> bool:
    """The batch size always, what else is set only where it varies."""
    return bool(varying(frame, [column]) or (column == "batch_size" and present(frame, [column])))


def setting(row: Row, column: str) -> str:
    """A number that was asked for, as it was asked for."""
    value = row.get(column)
    return "" if is_missing(value) else f"{float(value):,g}" if float(value) < 1e6 else f"{float(value):,.0f}"
