"""Cells as rows: the first, the extreme, those measured to their end, and how many ended in which way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from analysis.cells.columns import ALWAYS_TOLD, JUDGING_COLUMNS, OPTION, SETTING_COLUMNS
from analysis.cells.naming import varying
from analysis.contract.cells import STATUSES, known
from analysis.text import counted, is_missing

Row = dict[str, Any]
WORKSPACES_BYTES = 64 * 2**20


def records(frame: pd.DataFrame) -> list[Row]:
    """The rows as dictionaries of plain Python values."""
    names = frame.columns.to_numpy()
    # DataFrame.to_dict asks every column for itself, which for few rows of two hundred columns takes ten times as long.
    return [dict(zip(names, values, strict=True)) for values in frame.to_numpy(dtype=object)]


def first(frame: pd.DataFrame) -> Row:
    """The first row of a frame that has one."""
    return records(frame.head(1))[0]


def items(row: Row) -> str:
    """What a row's cell counts, such as images."""
    return "items" if is_missing(row.get("item")) else str(row["item"])


def items_of(frame: pd.DataFrame) -> str:
    """What all cells of a frame count; ``items`` where they differ."""
    found = frame["item"].dropna().unique()
    return str(found[0]) if len(found) == 1 else "items"


def extreme(cells: pd.DataFrame, values: pd.Series, *, largest: bool) -> Row | None:
    """The cell with the largest or smallest value; None where none is known."""
    values = values.dropna()
    return None if values.empty else first(cells.loc[[values.idxmax() if largest else values.idxmin()]])


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that were measured to their end."""
    return frame[frame["status"] == "complete"]


def status_counts(frame: pd.DataFrame) -> dict[str, int]:
    """Cells by status, in a fixed order, those that occur."""
    counts = frame["status"].value_counts()
    return {status: int(counts[status]) for status in STATUSES if status in counts}


def counts_text(frame: pd.DataFrame) -> str:
    """``20 cells: 18 complete, 2 oom``."""
    by_status = ", ".join(f"{n:,} {status}" for status, n in status_counts(frame).items())
    return f"{counted(len(frame))}: {by_status}" if by_status else counted(len(frame))


def setting_columns(frame: pd.DataFrame) -> list[str]:
    """The settings that vary in the frame; device, precision and batch size always."""
    options = [str(c) for c in frame if str(c).startswith(OPTION) and c not in JUDGING_COLUMNS]
    changing = varying(frame, (*SETTING_COLUMNS, *options))
    return [c for c in (*SETTING_COLUMNS, *options) if c in changing or (c in ALWAYS_TOLD and c in frame)]


def same(cells: pd.DataFrame, row: Row, columns: Iterable[str]) -> pd.Series:
    """Cells with the row's values in some columns, null being a value."""
    alike = pd.Series(True, index=cells.index)
    for column in columns:
        alike &= cells[column].isna() if is_missing(row.get(column)) else cells[column] == row[column]
    return alike


def memory_bytes(frame: pd.DataFrame) -> pd.Series:
    """Peak memory in tensors of each cell on the device where it counts its own, else of the process.

    Limits and searches judge what the allocator reserved for them (``objectives.memory_bytes``).
    """
    return frame["device_peak_allocated_bytes"].fillna(frame["peak_rss_bytes"])


def peak_bytes(row: Row) -> float | None:
    """The same of a row."""
    on_device = known(row.get("device_peak_allocated_bytes"))
    return known(row.get("peak_rss_bytes")) if on_device is None else on_device


def are_peaks_comparable(a: Row, b: Row) -> bool:
    """Whether the peaks of two cells may be divided.

    In older sweeps the peak of a device counts what libraries take once in a process, up to ``WORKSPACES_BYTES``, in
    cells that came after it was taken and not in others: peaks no further apart may be the same.
    """
    peaks = [known(row.get("device_peak_allocated_bytes")) for row in (a, b)]
    if None in peaks or all(known(row.get("device_held_before_bytes")) is not None for row in (a, b)):
        return True
    return abs((peaks[0] or 0.0) - (peaks[1] or 0.0)) > WORKSPACES_BYTES


def curves(frame: pd.DataFrame, rounds: pd.DataFrame) -> list[tuple[Row, pd.DataFrame]]:
    """For each of the trials with held-out accuracies its row and its rounds in order.

    Where both frames have a column ``sweep``, a cell's rounds are those of its own sweep.
    """
    if "accuracy" not in rounds:
        return []
    names = ["sweep", "trial_key"] if "sweep" in rounds and "sweep" in frame else ["trial_key"]
    scored = rounds[rounds["accuracy"].notna()]
    by_cell = {key: group for key, group in scored.groupby(names, sort=False)}
    found = [(row, by_cell.get(tuple(row[name] for name in names))) for row in records(frame)]
    return [(row, curve) for row, curve in found if curve is not None]


def with_role(rows: Sequence[Row], role: str) -> Row | None:
    """The row that is the fastest or the largest; one may be both."""
    return next((row for row in rows if role in str(row["search_role"]).split(" and ")), None)
