"""Cells that recur from sweep to sweep, and the steps in their speed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, OPTION, WORK_COLUMNS
from analysis.cells.naming import label, varying
from analysis.cells.rows import Row, complete, records
from analysis.contract.cells import SERVER
from analysis.contract.runs import SPEEDS
from analysis.stats.between_runs import UNKNOWN, Runs, pooled
from analysis.stats.estimate import Figure
from analysis.stats.significance import holm
from analysis.stats.told_apart import MIN_CHANGE, Verdict, verdict
from analysis.subjects.history.sweeps import VERSIONS, Sweep
from analysis.text import is_missing

PLACE = ("host", "n_threads")
"""What else a cell shares with itself in another sweep; its versions are what may differ."""
MAX_P = 0.05
"""Level, after correction for the number of steps looked for."""
MIN_SIDE = 2
"""Sweeps on each side of a step that no version explains."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One cell in one sweep."""

    sweep: Sweep
    row: Row

    @property
    def speed(self) -> float:
        return float(self.row["throughput_items_per_s"])

    @property
    def runs(self) -> list[float]:
        """The speed of each run of the cell in the sweep."""
        told = self.row[SPEEDS]
        return list(told) if isinstance(told, tuple) else [self.speed]


@dataclass(frozen=True, kw_only=True)
class Series:
    """A cell over time, oldest first."""

    name: str
    points: list[Point]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a cell's speed became: the ratio of after over before."""

    series: Series
    change: str  # of the version, ``torch 2.11.0 to 2.14.1``; empty where none changed
    before: list[Point]
    after: list[Point]
    ratio: Figure
    verdict: Verdict

    @property
    def is_of_one_sweep(self) -> bool:
        """Whether a side is a single sweep, of which nobody knows what else was different when it was made."""
        return min(len(self.before), len(self.after)) < MIN_SIDE


def series_of(sweeps: Sequence[Sweep]) -> list[Series]:
    """The cells that were measured to their end in two sweeps or more on one machine, doing the same work."""
    found: dict[tuple[Any, ...], list[Point]] = {}
    for sweep in sweeps:
        cells = complete(sweep.cells)
        cells = cells[(cells["scenario"] != SERVER) & (cells["throughput_items_per_s"] > 0)]
        options = sorted(str(c) for c in cells if str(c).startswith(OPTION))
        names = [c for c in (*CELL_COLUMNS, *PLACE, *WORK_COLUMNS, *options) if c in cells]
        for row in records(cells):
            # Numbers as numbers: what one sweep has as 4 another has as 4.0.
            kept = {c: row[c] for c in names if not is_missing(row[c])}
            key = tuple((c, v if isinstance(v, int | float) else str(v)) for c, v in kept.items())
            found.setdefault(key, []).append(Point(sweep=sweep, row=row))
    again = [points for points in found.values() if len({id(p.sweep) for p in points}) > 1]
    rows = pd.DataFrame([points[0].row for points in again])
    columns = varying(rows, (*CELL_COLUMNS, *PLACE)) if len(rows) else []
    always = ("device", "precision", "batch_size")
    told = [c for c in (*CELL_COLUMNS, *PLACE) if c in columns or (c in always and c in rows)]
    return [Series(name=label(points[0].row, told), points=points) for points in again]


def steps_of(found: Sequence[Series]) -> list[Step]:
    """What became of each cell from one version to the next, and within a version the largest step that is sure.

    Sweeps of one version are one side, whether they follow one another or were made in turns with others. The spread
    between runs is pooled over all cells and their sides; p values are corrected for all places together.
    """
    tried = [(one, *place) for one in found for place in _places(one)]
    sides = [(_runs(before), _runs(after)) for _, _, before, after in tried]
    spread = pooled(sides) if tried else UNKNOWN
    p = holm(np.array([spread.p_value(after, before) for before, after in sides])) if tried else np.empty(0)
    steps = []
    for (one, change, before, after), of_step, (runs_before, runs_after) in zip(tried, p, sides, strict=True):
        ratio = spread.ratio(runs_after, runs_before)
        steps.append(Step(series=one, change=change, before=before, after=after, ratio=ratio,
                          verdict=_judged(ratio, float(of_step))))  # fmt: skip
    return [*(s for s in steps if s.change), *_largest([s for s in steps if not s.change and s.verdict != "unclear"])]


def _judged(ratio: Figure, p: float) -> Verdict:
    return verdict(ratio, is_certain=not math.isnan(p) and p < MAX_P, least=MIN_CHANGE)


def _largest(steps: Sequence[Step]) -> list[Step]:
    """Of each series' sure steps that no version explains the largest: its neighbours are its shadow."""
    best: dict[int, Step] = {}
    for step in (s for s in steps if s.verdict in ("faster", "slower")):
        kept = best.setdefault(id(step.series), step)
        if abs(step.ratio.logs[0]) > abs(kept.ratio.logs[0]):
            best[id(step.series)] = step
    return list(best.values())


def _places(one: Series) -> list[tuple[str, list[Point], list[Point]]]:
    """Where a step is looked for: from each version to the next, and where two sweeps of one lie on each side."""
    states: list[list[Point]] = []
    for point in one.points:
        alike = [state for state in states if not _change(state[0].row, point.row)]
        if alike:
            alike[0].append(point)
        else:
            states.append([point])
    states.sort(key=lambda state: _numbers(state[0].row.get(VERSIONS[0])))
    between = [(_change(a[0].row, b[0].row), a, b) for a, b in pairwise(states)]
    within = [("", s[:at], s[at:]) for s in states for at in range(MIN_SIDE, len(s) - MIN_SIDE + 1)]
    return [*between, *within]


def _numbers(version: object) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", str(version))[:3]]


def _change(before: Row, after: Row) -> str:
    """The versions that differ, in words; one that is unknown on a side is no change."""
    told = []
    for column in VERSIONS:
        a, b = (row.get(column) for row in (before, after))
        if isinstance(a, str) and isinstance(b, str) and a != b:
            told.append(f"{re.sub('_version|_name|git_', '', column)} {a} to {b}")
    return "; ".join(told)


def _runs(points: Sequence[Point]) -> Runs:
    """The runs of a sweep; of several each one's mean, for what the runs of a sweep share they do not show."""
    return points[0].runs if len(points) == 1 else [point.speed for point in points]
