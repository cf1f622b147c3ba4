"""What groups a sweep's cells for a figure or a table: the machine, the task and how it is done, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.columns import HOW, JUDGING_COLUMNS, OPTION
from analysis.cells.identity import MACHINE, RUN, first
from analysis.cells.naming import label, present, varying
from analysis.cells.rows import Row, records
from analysis.contract.cells import TASK_COLUMNS
from analysis.text import escape, is_missing


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells that share some columns.

    Attributes:
        name: What they share and others do not, in words; empty where all cells of the frame are one group.
        row: The first of them.
        cells: All of them, in the order of the frame.
    """

    name: str
    row: Row
    cells: pd.DataFrame


def machine_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of ``strata.with_identity`` that tell machines and runs apart; none where there is one."""
    names = varying(frame, (MACHINE, RUN))
    if len(names) > 1 and frame.groupby(RUN, dropna=False)[MACHINE].nunique(dropna=False).max() == 1:
        names.remove(MACHINE)  # each run is of one machine, and is named more shortly
    return names


def task_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that tell the machines and tasks of a frame apart."""
    return [*machine_columns(frame), *varying(frame, TASK_COLUMNS)]


def word_columns(frame: pd.DataFrame, without: Iterable[str] = ()) -> list[str]:
    """The columns of words that name a cell: what varies, device and precision always, numbers left out.

    Args:
        frame: The cells that are told apart.
        without: Columns left out.
    """
    always = set(present(frame, ("device", "precision")))
    how = [c for c in HOW if c in always or c in varying(frame, HOW)]
    options = varying(frame, [str(c) for c in frame if str(c).startswith(OPTION) and c not in JUDGING_COLUMNS])
    return [c for c in (*task_columns(frame), *how, *options) if c not in set(without)]


def line_columns(frame: pd.DataFrame, without: Iterable[str] = ()) -> list[str]:
    """``word_columns`` and the learning rate where it varies: what stays the same along a line of a figure."""
    rate = varying(frame, ["learning_rate"])
    return [c for c in (*word_columns(frame), *rate) if c not in set(without)]


def groups(frame: pd.DataFrame, columns: Sequence[str]) -> list[Group]:
    """The frame by the values of the columns, null counted as one, in the order in which they come."""
    if frame.empty:
        return []
    if not columns:
        return [Group(name="", row=first(frame), cells=frame)]
    rows = records(frame.drop_duplicates(list(columns)))
    parts = [cells for _, cells in frame.groupby(list(columns), sort=False, dropna=False)]
    return [Group(name=label(row, columns), row=row, cells=cells) for row, cells in zip(rows, parts, strict=True)]


def setting(frame: pd.DataFrame, row: Row) -> str:
    """How a row does its task, in words: device, precision, batch size, and what else varies in the frame."""
    names = [c for c in line_columns(frame) if c not in task_columns(frame)]
    return label(row, [*names, *present(frame, ["batch_size"])])


def full_name(frame: pd.DataFrame, row: Row, whole: pd.DataFrame | None = None) -> str:
    """``setting`` behind the task, and behind the machine where the whole page's cells come from several."""
    machine = machine_columns(frame if whole is None else whole)
    return label(row, [*machine, *line_columns(frame, without=machine), *present(frame, ["batch_size"])])


def header(column: str) -> str:
    """A column's name as the head of a table."""
    return column.replace("_", " ").removeprefix(OPTION)


def words(row: Row, columns: Sequence[str]) -> list[str]:
    """The values of a row's columns of words as cells of a table; empty where unknown."""
    return ["" if is_missing(row.get(c)) else escape(row[c]) for c in columns]


def of(name: str) -> str:
    """``, NAME`` to go behind a title; nothing for the one group of a frame."""
    return f", {name}" if name else ""


def slug(text: str) -> str:
    """A piece of a file name: letters and digits of the text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80]


def file_names(stem: str, names: Sequence[str]) -> list[str]:
    """One PNG's name for each group, all different however alike the groups are called."""
    plain = [f"{stem}-{slug(name)}" if slug(name) else stem for name in names]
    return [f"{p}.png" if plain.count(p) == 1 else f"{p}-{plain[: i + 1].count(p)}.png" for i, p in enumerate(plain)]
