"""From which batch size on an accelerator overtakes the CPU of its machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.groups import by_task
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.rows import Row
from analysis.stats.estimate import Figure, ratio
from analysis.subjects.scaling.quantities import Curve, Point
from analysis.text import is_missing, joined

CPU = "cpu"
FASTEST = "each device with its own settings"
"""Name of the crossover between the fastest settings of each device."""


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """From which batch size on an accelerator is faster than the CPU, and stays so at every larger one measured.

    The label tells the settings that both share, or is ``FASTEST``. The batch is interpolated, 0 if the accelerator
    (``device``) leads at every batch measured and infinite if it does not at the largest; so are the ends of its
    interval, None where a throughput has none. ``at_smallest`` and ``at_largest`` are the throughput over the CPU's at
    the ends of the batch sizes that both measured.
    """

    task: str
    label: str
    device: str
    batch: float
    low: float | None
    high: float | None
    smallest: float
    largest: float
    at_smallest: Figure
    at_largest: Figure

    @property
    def crosses(self) -> bool:
        """Whether the batch lies within what was measured."""
        return 0 < self.batch < math.inf


def last_rise(batches: Sequence[float], leads: Sequence[float]) -> float:
    """Where a curve rises over zero for good, by linear interpolation in the logarithm of the (increasing) batch size.

    It is 0 if the curve is above zero throughout, infinite if it is not at the last.
    """
    if leads[-1] <= 0:
        return math.inf
    behind = [i for i, lead in enumerate(leads) if lead <= 0]
    if not behind:
        return 0.0
    i = behind[-1]
    share = -leads[i] / (leads[i + 1] - leads[i])
    return float(batches[i] * (batches[i + 1] / batches[i]) ** share)


def crossovers(found: Sequence[Curve], frame: pd.DataFrame) -> list[Crossover]:
    """Every accelerator against the CPU of the same machine and task, with the same settings and the fastest of each.

    ``frame`` is what the curves are of, for its columns.
    """
    shared = [c for c in stratum_columns(frame) if c != "device"]
    met = []
    for task in by_task(found):
        cpus = {place_of(curve.row, shared): curve for curve in task.members if curve.device == CPU}
        for other in task.members:
            cpu = cpus.get(place_of(other.row, shared))
            if other.device != CPU and cpu is not None:
                met.append(_crossover(other.label.removeprefix(f"{other.device}, "), other, cpu))
        met += _fastest_crossovers(task.members, [c for c in shared if c in {MACHINE, RUN}])
    return [c for c in met if c is not None]


def place_of(row: Row, columns: Sequence[str]) -> tuple[object, ...]:
    """A row's values of the columns, null in any of pandas' ways as None."""
    return tuple(None if is_missing(row.get(c)) else row.get(c) for c in columns)


def _fastest_crossovers(members: Sequence[Curve], origin: Sequence[str]) -> list[Crossover | None]:
    """Accelerators against the CPU, each with its fastest settings at every batch, where there is a choice of them."""
    grouped: dict[tuple[object, ...], dict[str, list[Curve]]] = {}
    for curve in members:
        grouped.setdefault(place_of(curve.row, origin), {}).setdefault(curve.device, []).append(curve)
    met = []
    for place, devices in grouped.items():
        cpu = devices.pop(CPU, [])
        words = joined(FASTEST, *(str(p) for p in place if p is not None))
        met += [_crossover(words, envelope(own), envelope(cpu)) for own in devices.values()
                if cpu and len(own) + len(cpu) > 2]  # fmt: skip
    return met


def envelope(members: Sequence[Curve]) -> Curve:
    """The fastest of several curves at every batch size, the first of equals."""
    best: dict[float, Point] = {}
    for point in (p for curve in members for p in curve.points):
        rival = best.get(point.batch_size, point)
        best[point.batch_size] = max(rival, point, key=lambda p: p.throughput.value or 0)
    return Curve(task=members[0].task, label=FASTEST, row=members[0].row, points=[best[b] for b in sorted(best)])


def _crossover(label: str, other: Curve, cpu: Curve) -> Crossover | None:
    theirs = {p.batch_size: p.throughput for p in cpu.points}
    shared = [p for p in other.points if p.batch_size in theirs]
    if not shared:
        return None
    batches = [p.batch_size for p in shared]
    ratios = [ratio(p.throughput, theirs[p.batch_size]) for p in shared]
    value, low, high = zip(*(r.logs for r in ratios), strict=True)
    is_known = not any(map(math.isnan, (*low, *high)))
    return Crossover(
        task=other.task, label=label, device=other.device, batch=last_rise(batches, value),
        # Where the accelerator's lead may be larger than measured, the crossover is earlier.
        low=last_rise(batches, high) if is_known else None, high=last_rise(batches, low) if is_known else None,
        smallest=batches[0], largest=batches[-1], at_smallest=ratios[0], at_largest=ratios[-1],
    )  # fmt: skip
