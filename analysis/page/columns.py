"""Tables of cells, or of anything else, as Markdown: one column after the other, each with its title."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.cells.groups import word_columns
from analysis.cells.naming import present, varying
from analysis.cells.rows import Row, records
from analysis.page.caveats.caveat import anchor
from analysis.stats.estimate import Figure, digits_of, of_row
from analysis.text import MISSING, escape, is_missing, number, share, table

MAX_ROWS = 500  # rows of a table; nobody reads more, and the Parquet files have them all
NUMBERS = (("learning_rate", "learning rate"), ("batch_size", "batch size"), ("rate_per_s", "rate (1/s)"),
           ("threads", "threads"), ("n_devices", "devices"))  # fmt: skip


class Column(NamedTuple):
    """A column of a table: its title with the unit, and what it says of one row, escaped."""

    title: str
    show: Callable[..., str]
    needs: Sequence[str] = ()  # columns of which one must have a value in some cell, or this one is left out
    figure: Callable[[Any], Figure] | None = None
    """Where given, ``show`` is asked of a row's figure and of the digits that all figures of the column share."""

    def texts(self, rows: Sequence[Any]) -> list[str]:
        """What the column says of each row."""
        if self.figure is None:
            return [self.show(row) for row in rows]
        figures = [self.figure(row) for row in rows]
        digits = digits_of(figures)
        return [self.show(figure, digits) for figure in figures]


def valued(title: str, figure: Callable[[Any], Figure], needs: Sequence[str] = ()) -> Column:
    """A column of the values of figures."""
    return Column(title, Figure.text_with, needs, figure)


def ranged(title: str, figure: Callable[[Any], Figure], needs: Sequence[str] = ()) -> Column:
    """A column of the intervals of figures."""
    return Column(title, Figure.interval_with, needs, figure)


def estimated(title: str, figure: Callable[[Any], Figure], needs: Sequence[str] = ()) -> Column:
    """A column of figures with their intervals behind them."""
    return Column(title, Figure.full_with, needs, figure)


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
    return valued(title, lambda row: of_row(row, columns).times(scale), columns[:1])


def interval(title: str, columns: tuple[str, str, str], scale: float = 1.0) -> Column:
    """A column of intervals, ``low to high``; ``over low`` where the upper end is beyond the samples."""

    def show(figure: Figure, digits: int) -> str:
        if figure.low is not None and figure.high is None:
            return f"over {number(figure.low, digits)}"
        return figure.interval_with(digits)

    return Column(title, show, columns[1:2], lambda row: of_row(row, columns).times(scale))


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
    return [Column(name.title, lambda one, name=name: name.show(row_of(one))) for name in names(columns)]


def settings(columns: Collection[str]) -> list[Column]:
    """Those of ``NUMBERS`` that are named: numbers that were asked for, as they were asked for."""
    return [Column(title, lambda row, c=c: setting(row, c)) for c, title in NUMBERS if c in columns]


def shared_words(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """``All with device cuda, batch size 64.``: settings that every row of a frame shares, as a table's caption."""
    row = records(frame.head(1))[0] if len(frame) else {}
    numbers = dict(NUMBERS)
    told = [
        f"{numbers.get(name, name.replace('_', ' ').removeprefix('option '))} {value}"
        for name in names
        if (value := setting(row, name) if name in numbers else in_word(name, name).show(row))
    ]
    return f"All with {', '.join(told)}." if told else ""


def named_table(
    chosen: pd.DataFrame, named: Sequence[str], columns: Sequence[Column], *, lead: Sequence[Column] = (),
    max_rows: int = MAX_ROWS, n_rows: int = 0,
) -> tuple[str, str]:  # fmt: skip
    """What a few cells share of the settings ``named`` in words, and their table, which names the others.

    Of one cell all stand in the table, after the columns of ``lead``. The rest is as of ``column_table``.
    """
    numbers = [name for name, _ in NUMBERS]
    changing = varying(chosen, named) if len(chosen) > 1 else named
    words = [*lead, *names([name for name in changing if name not in numbers])]
    told = settings([name for name in changing if name in numbers])
    shown = [*words, *told, *known_of(chosen, columns)]
    table = column_table(records(chosen), shown, n_left=len(words), max_rows=max_rows, n_rows=n_rows)
    return shared_words(chosen, [name for name in named if name not in changing]), table


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

    The first ``n_left`` columns are words; ``n_rows`` there are where ``rows`` has only those shown.
    """
    if not rows:
        return ""
    rows, n_rows = rows[:max_rows], max(len(rows), n_rows)
    shown = [list(texts) for texts in zip(*(column.texts(rows) for column in columns), strict=True)]
    text = table([column.title for column in columns], shown, n_left=n_left)
    left = n_rows - len(shown)
    return f"{text}\n\n{left:,} more rows are in the Parquet files." if left > 0 else text


def cell_table(
    frame: pd.DataFrame, columns: Sequence[Column], *, lead: Sequence[Column] = (),
    without: Sequence[str] = (), max_rows: int = MAX_ROWS,
) -> str:  # fmt: skip
    """A table with one row a cell: words that name it, its batch size and rates, then figures that some cell has.

    The words are those of ``word_columns`` less the columns ``without``, and then those of ``lead``.
    """
    words = [*names(word_columns(frame, without)), *known_of(frame, lead)]
    words[:1] = [_anchored(column) for column in words[:1]]
    # The batch size always, what else is set only where it varies.
    told = {*varying(frame, [c for c, _ in NUMBERS]), *present(frame, ["batch_size"])}.difference(without)
    shown = [*words, *settings(told), *known_of(frame, columns)]
    return column_table(records(frame.head(max_rows)), shown, n_left=len(words), max_rows=max_rows, n_rows=len(frame))


def _anchored(column: Column) -> Column:
    """The same column with each cell's anchor, so that a link finds its row."""

    def show(row: Row) -> str:
        return f'<a id="{anchor(row["trial_key"])}"></a>{column.show(row)}'

    return column._replace(show=show)
