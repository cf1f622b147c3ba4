"""Tables of cells, or of anything else, as Markdown: one column after the other, each with its title."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.cells.groups import word_columns
from analysis.cells.naming import present, varying
from analysis.cells.rows import Row, records
from analysis.text import MISSING, escape, is_missing, number, share, table

MAX_ROWS = 500
"""Rows of a table; nobody reads more, and the Parquet files have them all."""
NUMBERS = (("learning_rate", "learning rate"), ("batch_size", "batch size"), ("rate_per_s", "rate (1/s)"))


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: With its unit.
        show: What it says of one row, escaped.
        needs: Columns of a frame of cells of which one must have a value somewhere, or this one is left out.
    """

    title: str
    show: Callable[[Any], str]
    needs: Sequence[str] = ()


def plain(title: str, column: str, scale: float = 1.0) -> Column:
    """A column that shows one column of the frame times ``scale``, three digits long."""
    return Column(title, lambda row: scaled(row.get(column), scale), [column])


def part(title: str, column: str) -> Column:
    """A column that shows a ratio as a percentage."""
    return Column(title, lambda row: share(row.get(column)), [column])


def count(title: str, column: str) -> Column:
    """A column of whole numbers."""
    return Column(title, lambda row: whole(row.get(column)), [column])


def between(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of values (first name) with the digits that their intervals (low, high) support."""
    return Column(title, lambda row: number(*(_times(row.get(c), scale) for c in columns)), columns[:1])


def interval(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of intervals, ``low to high``; ``over low`` where the upper end is beyond the samples."""

    def show(row: Row) -> str:
        if is_missing(row.get(columns[0])) or is_missing(row.get(columns[1])):
            return MISSING
        if is_missing(row.get(columns[2])):
            return f"over {scaled(row[columns[1]], scale)}"
        value, low, high = (float(row[c]) * scale for c in columns)
        return f"{_end(low, low, high, value)} to {_end(high, low, high, value)}"

    return Column(title, show, columns[1:2])


def _end(value: float, low: float, high: float, middle: float) -> str:
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


def in_word(title: str, column: str) -> Column:
    """A column that shows a word of the frame; empty where it is null."""
    return Column(title, lambda row: "" if is_missing(row.get(column)) else escape(row[column]))


def names(columns: Sequence[str]) -> list[Column]:
    """Columns of the words that name a cell or a group of them."""
    return [in_word(column.replace("_", " ").removeprefix("option "), column) for column in columns]


def names_of(columns: Sequence[str], row_of: Callable[[Any], Row]) -> list[Column]:
    """The same for a table whose rows are made from more than a cell, which ``row_of`` finds."""
    return [Column(name.title, lambda one, name=name: name.show(row_of(one))) for name in names(columns)]  # type: ignore[misc]


def settings(columns: Sequence[str]) -> list[Column]:
    """Those of ``NUMBERS`` that are named: numbers that were asked for, as they were asked for."""
    return [Column(title, lambda row, c=c: setting(row, c)) for c, title in NUMBERS if c in columns]  # type: ignore[misc]


def setting(row: Row, column: str) -> str:
    """A number that was asked for, as it was asked for."""
    value = _times(row.get(column), 1.0)
    return "" if value is None else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"


def known_of(frame: pd.DataFrame, columns: Sequence[Column]) -> list[Column]:
    """The columns that have something to say of a frame."""
    return [column for column in columns if not column.needs or present(frame, column.needs)]


def column_table(
    rows: Sequence[Any], columns: Sequence[Column], *, n_left: int = 1, max_rows: int = MAX_ROWS, n_rows: int = 0
) -> str:
    """A Markdown table of anything; empty without rows, and cut after ``max_rows`` of them, saying so.

    Args:
        rows: What it has a row of each.
        columns: In order.
        n_left: The first so many are words.
        max_rows: Rows shown.
        n_rows: How many there are, where ``rows`` has only those shown.
    """
    if not rows:
        return ""
    shown = [[column.show(row) for column in columns] for row in rows[:max_rows]]
    text = table([column.title for column in columns], shown, n_left=n_left)
    left = max(len(rows), n_rows) - len(shown)
    return f"{text}\n\n{left:,} more rows are in the Parquet files." if left > 0 else text


def cell_table(
    frame: pd.DataFrame, columns: Sequence[Column], *, lead: Sequence[Column] = (),
    without: Sequence[str] = (), max_rows: int = MAX_ROWS,
) -> str:  # fmt: skip
    """A table with one row a cell: words that name it, its batch size and rates, then figures.

    Args:
        frame: The cells.
        columns: Figures, in order; those are left out that no cell has.
        lead: Columns of words that come behind the cell's name.
        without: Columns of the frame that do not name the cell.
        max_rows: Rows shown.
    """
    words = [*names(word_columns(frame, without)), *known_of(frame, lead)]
    told = [c for c, _ in NUMBERS if c not in without and _is_told(frame, c)]
    shown = [*words, *settings(told), *known_of(frame, columns)]
    return column_table(records(frame.head(max_rows)), shown, n_left=len(words), max_rows=max_rows, n_rows=len(frame))


def _is_told(frame: pd.DataFrame, column: str) -> bool:
    """The batch size always, what else is set only where it varies."""
    return bool(varying(frame, [column]) or (column == "batch_size" and present(frame, [column])))
