"""A table of cells: words that name each cell, its batch size and rates, then figures that at least one cell has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.cells.groups import header, word_columns, words
from analysis.cells.naming import present, varying
from analysis.cells.rows import Row, records
from analysis.text import MISSING, is_missing, number, share, table

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


def part(title: str, column: str) -> Column:
    """A column that shows a ratio as a percentage."""
    return Column(title=title, show=lambda row: share(row.get(column)), needs=[column])


def count(title: str, column: str) -> Column:
    """A column of whole numbers."""
    return Column(title=title, show=lambda row: whole(row.get(column)), needs=[column])


def between(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of values (first name) with the digits that their intervals (low, high) support."""

    def show(row: Row) -> str:
        return number(*(_times(row.get(c), scale) for c in columns))

    return Column(title=title, show=show, needs=columns[:1])


def interval(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of intervals, ``low to high``; ``over low`` where the upper end is beyond the samples."""

    def show(row: Row) -> str:
        if is_missing(row.get(columns[0])) or is_missing(row.get(columns[1])):
            return MISSING
        if is_missing(row.get(columns[2])):
            return f"over {scaled(row[columns[1]], scale)}"
        value, low, high = (float(row[c]) * scale for c in columns)
        return f"{end(low, low, high, value)} to {end(high, low, high, value)}"

    return Column(title=title, show=show, needs=columns[1:2])


def end(value: float, low: float, high: float, middle: float) -> str:
    """An end of an interval, with as many digits as tell the two ends apart."""
    return number(value, min(low, middle), max(high, middle)) if low != high else number(value)


def scaled(value: Any, scale: float = 1.0) -> str:
    """A number times ``scale``, three digits long; n/a if null."""
    return number(_times(value, scale))


def _times(value: Any, scale: float) -> float | None:
    return None if is_missing(value) else float(value) * scale


def whole(value: Any) -> str:
    """A count."""
    return MISSING if is_missing(value) else f"{int(value):,}"


def cell_table(
    frame: pd.DataFrame, columns: Sequence[Column], *, lead: Sequence[Column] = (), without: Sequence[str] = (),
    max_rows: int = MAX_ROWS,
) -> str:  # fmt: skip
    """A Markdown table with one row a cell; empty without cells, and cut after ``max_rows`` rows, saying so.

    Args:
        frame: The cells.
        columns: Figures, in order.
        lead: Columns of words that come behind the cell's name.
        without: Columns of the frame that do not name the cell.
        max_rows: Rows shown.
    """
    if frame.empty:
        return ""
    names = word_columns(frame, without)
    settings = [(c, title) for c, title in NUMBERS if c not in without and _is_told(frame, c)]
    shown = [column for column in columns if not column.needs or present(frame, column.needs)]
    led = [column for column in lead if not column.needs or present(frame, column.needs)]
    numbers = [*(Column(title=title, show=lambda row, c=c: setting(row, c)) for c, title in settings), *shown]  # type: ignore[misc]
    headers = [*(header(c) for c in names), *(c.title for c in (*led, *numbers))]
    rows = [[*words(row, names), *(c.show(row) for c in (*led, *numbers))] for row in records(frame.head(max_rows))]
    text = table(headers, rows, n_left=len(names) + len(led))
    left = len(frame) - max_rows
    return f"{text}\n\n{left:,} more rows are in the Parquet files." if left > 0 else text


def _is_told(frame: pd.DataFrame, column: str) -> bool:
    """The batch size always, what else is set only where it varies."""
    return bool(varying(frame, [column]) or (column == "batch_size" and present(frame, [column])))


def setting(row: Row, column: str) -> str:
    """A number that was asked for, as it was asked for."""
    value = _times(row.get(column), 1.0)
    return "" if value is None else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"
