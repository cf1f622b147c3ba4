"""The history as tables: the index of sweeps, the steps found, the figures of cells that recur."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.cells.groups import tasks
from analysis.cells.naming import label
from analysis.cells.ranking import rank, speed
from analysis.cells.rows import complete, items_of, records, setting_columns
from analysis.cells.usable import usable
from analysis.page import columns
from analysis.stats.estimate import Figure
from analysis.subjects.history.series import Series, Step
from analysis.subjects.history.sweeps import Sweep
from analysis.text import MISSING, escape, number

PAGES = ("report.md", "report_latency.md", "report_finetune.md")
"""The page of a sweep that the index links to: the first that is there."""


def index_table(sweeps: Sequence[Sweep], folder: Path) -> str:
    """One row a sweep, the newest first, with a link from a page in ``folder``."""
    return columns.column_table(list(reversed(sweeps)), [
        columns.Column("sweep", lambda sweep: _link(sweep, folder)),
        columns.Column("date", lambda sweep: escape(sweep.day) or MISSING),
        columns.Column("workload", lambda sweep: escape(sweep.version("workload"))),
        columns.Column("machine", _machine),
        columns.Column("torch", lambda sweep: escape(sweep.version("torch_version"))),
        columns.Column("commit", lambda sweep: escape(sweep.version("git_commit"))),
        columns.Column("answer", _answer),
        columns.Column("cells complete", lambda sweep: f"{len(complete(sweep.cells)):,} of {len(sweep.cells):,}"),
    ], n_left=7)  # fmt: skip


def _link(sweep: Sweep, folder: Path) -> str:
    place = sweep.folder if sweep.folder.is_dir() else sweep.folder.parent
    page = next((place / name for name in PAGES if (place / name).is_file()), None)
    if page is None:
        return escape(sweep.name)
    target = Path(os.path.relpath(page, folder)).as_posix()
    return f"[{escape(sweep.name)}](<{target}>)" if ">" not in target else escape(sweep.name)


def _machine(sweep: Sweep) -> str:
    names = [sweep.version("device_name"), sweep.version("cpu_name")]
    return escape(", ".join(dict.fromkeys(name for name in names if name))) or MISSING


def _answer(sweep: Sweep) -> str:
    """The first task's best cell, or that it is one of several; and how many more tasks there are."""
    found = tasks(complete(sweep.cells))
    for task in found:
        ranking = rank(records(usable(task.cells)), speed)
        if ranking is not None:
            setting = label(ranking.row, setting_columns(sweep.cells))
            told = f"{setting}: {speed(ranking.row).text} {items_of(task.cells)}/s"
            more = f" (and {len(found) - 1:,} more tasks)" if len(found) > 1 else ""
            alike = f" ≈{len(ranking.rivals):,}" if ranking.rivals else ""
            return escape(f"{told}{alike}{more}")
    return MISSING


def steps_table(found: Sequence[Step]) -> str:
    """What changed at which version, cell by cell, the largest losses first."""
    ordered = sorted(found, key=lambda step: step.ratio.value or 1.0)
    return columns.column_table(ordered, [
        columns.Column("cell", lambda step: escape(step.series.name)),
        columns.Column("what changed", lambda step: escape(step.change) or "nothing recorded"),
        columns.Column("on", lambda step: escape(step.after[0].sweep.day)),
        columns.Column("verdict", lambda step: step.verdict),
        columns.estimated("speed after over before", lambda step: step.ratio),
    ], n_left=4)  # fmt: skip


def series_table(found: Sequence[Series], sweeps: Sequence[Sweep]) -> str:
    """The throughput of each cell that recurs, one column a sweep, oldest first."""
    shown = [sweep for sweep in sweeps if any(point.sweep is sweep for one in found for point in one.points)]
    return columns.column_table(found, [
        columns.Column("cell", lambda one: escape(one.name)),
        *(columns.Column(escape(f"{sweep.day} torch {sweep.version('torch_version')}"), _at(sweep)) for sweep in shown),
    ], n_left=1)  # fmt: skip


def _at(sweep: Sweep) -> Callable[[Series], str]:
    def show(one: Series) -> str:
        points = [point for point in one.points if point.sweep is sweep]
        return number(Figure(value=points[-1].speed).value) if points else ""

    return show
