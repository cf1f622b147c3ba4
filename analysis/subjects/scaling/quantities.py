"""Numbers over batch size: the curves of throughput and latency, and the knee where throughput levels off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import lines, tasks
from analysis.cells.rows import Row, records
from analysis.contract.cells import MEASURED, SERVER
from analysis.stats.estimate import Figure, known, of_row

STEP = ("step_median_s", "step_median_low_s", "step_median_high_s")
COLUMNS = ("scenario", "batch_size", *THROUGHPUT, *STEP)
NEAR_BEST = 0.95
"""The knee is the smallest batch that has this share of the best throughput."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measured cell of a curve.

    Attributes:
        batch_size: Items per step.
        throughput: Items per second.
        step: Seconds of the median step; unknown in an older schema.
        is_pruned: Measured for fewer rounds than asked for.
    """

    batch_size: float
    throughput: Figure
    step: Figure
    is_pruned: bool = False


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What was measured of one device, precision and other settings over the batch size.

    Attributes:
        task: What is done, in words; empty where all cells do the same.
        label: The settings that tell it from the task's other curves.
        row: Its first cell, for the settings themselves.
        points: In order of the batch size; one or more.
        failed: Statuses of batch sizes that were not measured to an end.
    """

    task: str
    label: str
    row: Row
    points: Sequence[Point]
    failed: Mapping[float, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        return str(self.row["device"])

    @property
    def best(self) -> Point:
        """The point of the highest throughput; the smallest of equals."""
        return max(self.points, key=lambda p: (p.throughput.value or 0.0, -p.batch_size))


@dataclass(frozen=True, kw_only=True)
class Knee:
    """The smallest batch within 5 % of the best throughput.

    Attributes:
        point: The knee.
        low: The smallest batch that could be the knee within the throughputs' intervals; None where one is unknown.
        high: The largest that could.
        is_open: The largest batch measured is the best and the knee: throughput may still grow beyond it.
    """

    point: Point
    low: float | None
    high: float | None
    is_open: bool


def is_server(frame: pd.DataFrame) -> pd.Series:
    """Which rows answered requests at a given rate; those say nothing about scaling."""
    return frame["scenario"] == SERVER


def curves(frame: pd.DataFrame) -> list[Curve]:
    """The curves of a frame of ``identity.with_identity``, tasks and settings in the order of the rows.

    Server cells are left out, and settings of which no cell was measured.
    """
    found = []
    for task in tasks(frame[~is_server(frame)]):
        for line in lines(task.cells):
            rows = records(line.cells)
            points = [_point(row) for row in rows if _is_measured(row)]
            failed = {float(row["batch_size"]): str(row["status"]) for row in rows if not _is_measured(row)}
            if points:
                found.append(Curve(task=task.name, label=line.name, row=line.row, points=points, failed=failed))
    return found


def _is_measured(row: Row) -> bool:
    return row["status"] in MEASURED and (known(row["throughput_items_per_s"]) or 0) > 0


def _point(row: Row) -> Point:
    return Point(
        batch_size=float(row["batch_size"]), throughput=of_row(row, THROUGHPUT), step=of_row(row, STEP),
        is_pruned=row["status"] == "pruned",
    )  # fmt: skip


def knee(curve: Curve) -> Knee | None:
    """The knee of a curve; None with fewer than two batch sizes.

    A batch could be the knee if it could be within 5 % of the best and no smaller one surely is: ``low`` is the
    smallest batch whose upper end reaches 95 % of the best lower end, ``high`` the smallest whose lower end reaches
    95 % of the best upper end (the best batch where none does).
    """
    if len(curve.points) < 2:
        return None
    best = curve.best
    value = [p.throughput.value or 0.0 for p in curve.points]
    at = next(i for i, v in enumerate(value) if v >= NEAR_BEST * max(value))
    lows, highs = [p.throughput.low for p in curve.points], [p.throughput.high for p in curve.points]
    low = high = None
    if None not in lows and None not in highs:
        low = _first_reaching(curve.points, highs, NEAR_BEST * max(v for v in lows if v is not None))
        high = _first_reaching(curve.points, lows, NEAR_BEST * max(v for v in highs if v is not None))
        high = max(best.batch_size if high is None else high, curve.points[at].batch_size)
    is_last = at == len(curve.points) - 1
    return Knee(point=curve.points[at], low=low, high=high, is_open=is_last)


def _first_reaching(points: Sequence[Point], ends: Sequence[float | None], bound: float) -> float | None:
    return next((p.batch_size for p, v in zip(points, ends, strict=True) if v is not None and v >= bound), None)
