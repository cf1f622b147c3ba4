"""What groups a sweep's cells for a figure or a table: the machine, the task and how it is done, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pandas as pd

from analysis.cells.columns import HOW, JUDGING_COLUMNS, OPTION
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import label, present, varying
from analysis.cells.rows import Row, first, records
from analysis.contract.cells import TASK_COLUMNS


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells that share some columns, in the order of the frame, and the first of them as ``row``."""

    name: str  # what they share and others do not, in words; empty where all cells of the frame are one group
    row: Row
    cells: pd.DataFrame


class OfTask(Protocol):
    """The rows of one or more cells, with the task that they belong to, in words."""

    @property
    def task(self) -> str: ...


T = TypeVar("T")
Member = TypeVar("Member", bound=OfTask)


@dataclass(frozen=True, kw_only=True)
class Task(Generic[T]):
    """The measurements of one task: its curves, pairs or training runs. Its name is empty where there is one task."""

    name: str
    members: list[T]


def by_task(found: Iterable[Member]) -> list[Task[Member]]:
    """Members by their task, tasks in the order in which they come."""
    tasks: dict[str, list[Member]] = {}
    for one in found:
        tasks.setdefault(one.task, []).append(one)
    return [Task(name=name, members=members) for name, members in tasks.items()]


def machine_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of ``identity.with_identity`` that tell machines and runs apart; none where there is one."""
    names = varying(frame, (MACHINE, RUN))
    if len(names) > 1 and frame.groupby(RUN, dropna=False)[MACHINE].nunique(dropna=False).max() == 1:
        names.remove(MACHINE)  # each run is of one machine, and is named more shortly
    return names


def task_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that tell the machines and tasks of a frame apart."""
    return [*machine_columns(frame), *varying(frame, TASK_COLUMNS)]


def word_columns(frame: pd.DataFrame, without: Iterable[str] = ()) -> list[str]:
    """The columns of words that name a cell: what varies, device and precision always, numbers left out."""
    told = {*present(frame, ("device", "precision")), *varying(frame, HOW)}
    how = [c for c in HOW if c in told]
    options = varying(frame, [str(c) for c in frame if str(c).startswith(OPTION) and c not in JUDGING_COLUMNS])
    return [c for c in (*task_columns(frame), *how, *options) if c not in set(without)]


def line_columns(frame: pd.DataFrame, without: Iterable[str] = ()) -> list[str]:
    """``word_columns``, and learning rate, threads and devices where they vary: what a line of a figure keeps."""
    numbers = varying(frame, ["learning_rate", "threads", "n_devices"])
    return [c for c in (*word_columns(frame), *numbers) if c not in set(without)]


def groups(frame: pd.DataFrame, columns: Sequence[str]) -> list[Group]:
    """The frame by the values of the columns, null counted as one, in the order in which they come."""
    if frame.empty:
        return []
    if not columns:
        return [Group(name="", row=first(frame), cells=frame)]
    rows = records(frame[~frame[list(columns)].duplicated()])
    parts = [cells for _, cells in frame.groupby(list(columns), sort=False, dropna=False)]
    return [Group(name=label(row, columns), row=row, cells=cells) for row, cells in zip(rows, parts, strict=True)]


def tasks(frame: pd.DataFrame) -> list[Group]:
    """The frame by what is done; one group without a name where all do the same."""
    return groups(frame, varying(frame, TASK_COLUMNS))


def lines(frame: pd.DataFrame) -> list[Group]:
    """The frame by all that a figure over the batch size keeps the same, each line in the order of the batch size."""
    names = stratum_columns(frame)
    told = {"device", "precision", *varying(frame, names)}
    found = groups(frame, [c for c in names if c in told])
    ordered = [(g.name, g.cells.sort_values("batch_size", kind="stable")) for g in found]
    return [Group(name=name, row=first(cells), cells=cells) for name, cells in ordered]


def setting(frame: pd.DataFrame, row: Row) -> str:
    """How a row does its task, in words: device, precision, batch size, and what else varies in the frame."""
    of_task = task_columns(frame)
    names = [c for c in line_columns(frame) if c not in of_task]
    return label(row, [*names, *present(frame, ["batch_size"])])


def full_name(frame: pd.DataFrame, row: Row, whole: pd.DataFrame | None = None) -> str:
    """``setting`` behind the task, and behind the machine where the whole page's cells come from several."""
    machine = machine_columns(frame if whole is None else whole)
    return label(row, [*machine, *line_columns(frame, without=machine), *present(frame, ["batch_size"])])


def of(name: str) -> str:
    """``, NAME`` to go behind a title; nothing for the one group of a frame."""
    return f", {name}" if name else ""


def file_names(stem: str, names: Sequence[str]) -> list[str]:
    """One PNG's name for each group, all different however alike the groups are called."""
    slugs = [re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] for name in names]
    plain = [f"{stem}-{slug}" if slug else stem for slug in slugs]
    return [f"{p}.png" if plain.count(p) == 1 else f"{p}-{plain[: i + 1].count(p)}.png" for i, p in enumerate(plain)]
