"""Numbers over batch size: the curves of throughput and latency, and the knee where throughput levels off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import lines, tasks
from analysis.cells.rows import Row, records
from analysis.contract.cells import MEASURED, SERVER
from analysis.stats.estimate import Figure, known, of_row

STEP = ("step_median_s", "step_median_low_s", "step_median_high_s")
COLUMNS = ("scenario", "batch_size", *THROUGHPUT, *STEP)
UNKNOWN = Figure(value=None)
NEAR_BEST = 0.95
"""The knee is the smallest batch that has this share of the best throughput."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One cell of a curve; its throughput (items per second) and median step (seconds) only if it was measured."""

    batch_size: float
    status: str
    throughput: Figure = UNKNOWN
    step: Figure = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What was measured of one device, precision and other settings (those of its first cell) over the batch size.

    The task is empty where all cells do the same, and the label tells the settings from those of its other curves. Of
    the points, in order of the batch size, there is one at least.
    """

    task: str
    label: str
    row: Row
    points: Sequence[Point]
    failed: Sequence[Point] = ()

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

    ``low`` to ``high`` are the batches that could be it within the throughputs' intervals, None where one is unknown.
    It is open where the largest batch measured is the best and the knee: throughput may still grow beyond it.
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
            points = [_point(row) for row in records(line.cells)]
            measured = [p for p in points if p.throughput.value is not None]
            failed = {p.batch_size: p for p in points if p.throughput.value is None}
            if measured:
                failures = list(failed.values())
                found.append(Curve(task=task.name, label=line.name, row=line.row, points=measured, failed=failures))
    return found


def _point(row: Row) -> Point:
    batch, status = float(row["batch_size"]), str(row["status"])
    if status not in MEASURED or (known(row["throughput_items_per_s"]) or 0) <= 0:
        return Point(batch_size=batch, status=status)
    return Point(batch_size=batch, status=status, throughput=of_row(row, THROUGHPUT), step=of_row(row, STEP))


def knee(curve: Curve) -> Knee | None:
    """The knee of a curve; None with fewer than two batch sizes.

    A batch could be the knee if it could be within 5 % of the best and no smaller one certainly is: ``low`` is the
    smallest batch whose upper end reaches 95 % of the best lower end, ``high`` the smallest whose lower end reaches
    95 % of the best upper end (the best batch where none does).
    """
    points = curve.points
    if len(points) < 2:
        return None
    bound = NEAR_BEST * (curve.best.throughput.value or 0.0)
    point = next(p for p in points if (p.throughput.value or 0.0) >= bound)
    ends = [(p.batch_size, p.throughput.low, p.throughput.high) for p in points]
    known_ends = [(b, low, high) for b, low, high in ends if low is not None and high is not None]
    low = high = None
    if len(known_ends) == len(points):
        best_low, best_high = max(low for _, low, _ in known_ends), max(high for _, _, high in known_ends)
        low = next((b for b, _, high in known_ends if high >= NEAR_BEST * best_low), None)
        high = next((b for b, low, _ in known_ends if low >= NEAR_BEST * best_high), curve.best.batch_size)
        high = max(high, point.batch_size)
    return Knee(point=point, low=low, high=high, is_open=point is points[-1])
