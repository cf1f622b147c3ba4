"""Cells that recur from sweep to sweep, and the steps in their speed."""

from __future__ import annotations

import math
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

PLACE = ("host", "cpu_name", "device_name", "n_threads")
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
    item: str
    points: list[Point]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a cell's speed became at a place of its series: the ratio of after over before."""

    series: Series
    at: int  # the first point after it
    change: str  # of the version, ``torch 2.11.0 to 2.14.1``; empty where none changed
    ratio: Figure
    verdict: Verdict


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
    return [
        Series(name=label(points[0].row, told), item=str(points[0].row.get("item") or "items"), points=points)
        for points in again
    ]


def steps_of(found: Sequence[Series]) -> list[Step]:
    """At each change of a version what became of each cell, and between them the largest step that is sure.

    The spread between runs is pooled over all cells and their sides; p values are corrected for all places together.
    """
    tried = [(one, at, change, *_sides(one, at)) for one in found for at, change in _places(one)]
    spread = pooled([[before, after] for _, _, _, before, after in tried]) if tried else UNKNOWN
    p = holm(np.array([spread.p_value(after, before) for _, _, _, before, after in tried])) if tried else np.empty(0)
    steps = [
        Step(series=one, at=at, change=change, ratio=ratio, verdict=_judged(ratio, float(of_step)))
        for (one, at, change, before, after), of_step in zip(tried, p, strict=True)
        for ratio in [spread.ratio(after, before)]
    ]
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


def _places(one: Series) -> list[tuple[int, str]]:
    """Where a step is looked for: at each change of versions, and where two sweeps of the same lie on each side."""
    places = []
    for at, (before, after) in enumerate(pairwise(one.points), start=1):
        change = _change(before.row, after.row)
        n_before = at - _begin(one, at - 1)
        n_after = _end(one, at) - at
        if change or min(n_before, n_after) >= MIN_SIDE:
            places.append((at, change))
    return places


def _change(before: Row, after: Row) -> str:
    """The versions that differ, in words; one that is unknown on a side is no change."""
    told = []
    for column in VERSIONS:
        a, b = (row.get(column) for row in (before, after))
        if isinstance(a, str) and isinstance(b, str) and a != b:
            told.append(f"{column.removesuffix('_version').replace('git_', '')} {a} to {b}")
    return "; ".join(told)


def _begin(one: Series, i: int) -> int:
    """The first point of those around one that share its versions."""
    while i > 0 and not _change(one.points[i - 1].row, one.points[i].row):
        i -= 1
    return i


def _end(one: Series, i: int) -> int:
    """One past the last of them."""
    while i + 1 < len(one.points) and not _change(one.points[i].row, one.points[i + 1].row):
        i += 1
    return i + 1


def _sides(one: Series, at: int) -> tuple[Runs, Runs]:
    """The runs before and after a place, of the versions on its sides.

    Of several sweeps each one's mean is a run, for what the runs of a sweep share they do not show.
    """
    before, after = one.points[_begin(one, at - 1) : at], one.points[at : _end(one, at)]
    return _runs(before), _runs(after)


def _runs(points: Sequence[Point]) -> Runs:
    return points[0].runs if len(points) == 1 else [point.speed for point in points]
