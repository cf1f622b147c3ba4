"""Name cells in few words: what is the same in all of them is said once, above the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, OPTION
from analysis.contract.allocators import DEFAULT
from analysis.text import counted

_WORDS = {
    "batch_size": "batch {}",
    "rate_per_s": "{} /s",
    "learning_rate": "lr {}",
    "compile": "compile {}",
    "runtime": "through {}",
    "threads": "{} threads",
    "allocator": "allocator {}",
    "n_devices": "{} devices",
}
PLAIN = {"model": "none", "memory_format": "contiguous", "compile": "none", "implementation": "eager",
         "runtime": "torch", "augment": "none", "feed": "resident", "parallel": "ddp", "allocator": DEFAULT,
         "n_devices": 1}  # fmt: skip
"""Values that name the absence of something, and so go without saying."""


def present(frame: pd.DataFrame, columns: Iterable[str] = CELL_COLUMNS) -> list[str]:
    """Those of the columns that the frame has and that are not null throughout."""
    # Of arrays: a Series says it in five times the time, and every table and figure asks of some twenty columns.
    return [c for c in columns if c in frame and bool(pd.notna(frame[c].to_numpy()).any())]


def varying(frame: pd.DataFrame, columns: Iterable[str] = CELL_COLUMNS) -> list[str]:
    """Those of the columns that take more than one value in the frame, null counted as one."""
    return [c for c in present(frame, columns) if frame[c].nunique(dropna=False) > 1]


def word(column: str, value: Any) -> str | None:
    """One setting as a reader would say it: ``batch 64``; None where it goes without saying."""
    return None if value is pd.NA or value == PLAIN.get(column, ...) else spoken(column, value)


def spoken(column: str, value: Any) -> str | None:
    """One setting in words, also where it goes without saying; None where it is null."""
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124 # NaN
        return None
    is_whole = isinstance(value, float) and value.is_integer()
    text = str(int(value)) if is_whole else f"{value:g}" if isinstance(value, float) else str(value)
    plain = f"{column.removeprefix(OPTION).replace('_', ' ')} {{}}" if column.startswith(OPTION) else "{}"
    return _WORDS.get(column, plain).format(text)


def label(row: dict[str, Any], columns: Sequence[str]) -> str:
    """The named settings of a row in words, such as ``cpu, bf16, batch 64``.

    A row of which all goes without saying is told by just that: beside ``channels_last`` stands ``contiguous``.
    """
    words = [said for column in columns if (said := spoken(column, row.get(column))) is not None]
    return in_words(row, columns) or ", ".join(words) or "the one cell"


def in_words(row: dict[str, Any], columns: Iterable[str]) -> str:
    """The named settings of a row in words; empty where all of them go without saying."""
    return ", ".join(said for column in columns if (said := word(column, row.get(column))) is not None)


def labels(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> list[str]:
    """Labels of all rows by the columns that vary, or by those named."""
    names = varying(frame) if columns is None else list(columns)
    return [label(row, names) for row in frame.to_dict("records")]


def common(frame: pd.DataFrame, columns: Iterable[str] = CELL_COLUMNS) -> str:
    """What all rows share, in words; empty where they share nothing."""
    if frame.empty:
        return ""
    told_apart = varying(frame, columns)
    return in_words(frame.iloc[0].to_dict(), [c for c in present(frame, columns) if c not in told_apart])


def out_of(mask: pd.Series) -> str:
    """``2 of 12 cells``."""
    return f"{int(mask.sum()):,} of {counted(len(mask))}"


def words_of(values: pd.Series) -> list[str]:
    """The different texts of a column, sorted."""
    return sorted(values.dropna().astype(str).unique())


def equals(frame: pd.DataFrame, column: str, value: object) -> pd.Series:
    """Where a column has a value; null is no value."""
    return (frame[column] == value).fillna(False).astype(bool)
