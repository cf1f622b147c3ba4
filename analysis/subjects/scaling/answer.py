"""The sentences that the report on scaling begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.cells.identity import MACHINE, RUN
from analysis.cells.pooling import MOVED
from analysis.cells.ranking import rank
from analysis.subjects.scaling.crossover import FASTEST, Crossover
from analysis.subjects.scaling.quantities import Curve, Point, knee
from analysis.subjects.scaling.tables import batch_text, crossover_range, crossover_text, knee_range
from analysis.text import escape, seconds_as_ms, some

MAX_NAMED = 3
"""Batch sizes that a sentence names beside the best."""


def answer(curves: Sequence[Curve], crossovers: Sequence[Crossover], item: str) -> list[str]:
    """For each task one paragraph: the best batch of each machine's device, its knee, and the crossovers.

    Of the crossovers those of the fastest settings are told, or all where there is one setting.
    """
    said = []
    for task in by_task(curves):
        by_place: dict[tuple[str, ...], list[Curve]] = {}
        for curve in task.members:
            by_place.setdefault(tuple(str(curve.row.get(c)) for c in (MACHINE, RUN, "device")), []).append(curve)
        fastest = [max(members, key=lambda c: c.best.throughput.value or 0) for members in by_place.values()]
        met = [c for c in crossovers if c.task == task.name]
        telling = [c for c in met if c.label.startswith(FASTEST)] or met
        sentences = [*(_best_sentence(c, item) for c in fastest), *map(_crossover_sentence, telling)]
        said.append(f"{f'{escape(task.name)}: ' if task.name else ''}{' '.join(sentences)}")
    return said


def _best_sentence(curve: Curve, item: str) -> str:
    best, found = curve.best, knee(curve)
    rivals, at = _rivals(curve), f"batch {batch_text(best.batch_size)}"
    rate = f"{best.throughput.text} {item}/s"
    if found is None:
        return f"**{escape(curve.label)}** reaches {rate} at {at}, the only batch size measured."
    told = f"**{escape(curve.label)}** is fastest at {at}: {rate}"
    if rivals:
        alike = some([f"batch {batch_text(p.batch_size)}" for p in rivals], MAX_NAMED)
        told = f"**{escape(curve.label)}** reaches {rate} at {at}, statistically indistinguishable from {alike}"
        if found.point.batch_size == best.batch_size:
            return f"{told}."
    if found.is_open:
        failed = next((p for p in curve.failed if p.batch_size > best.batch_size), None)
        then = f"; batch {batch_text(failed.batch_size)} ended as {failed.status}" if failed else ""
        return f"{told}, still growing at this largest measured batch size{then}."
    if best is curve.points[0]:
        return f"{told}; larger batches bring no gain."
    if found.point.batch_size == best.batch_size:
        return f"{told}; no smaller batch size is within 5 % of that."
    at = batch_text(found.point.batch_size)
    at += f" (interval {knee_range(found)})" if found.low is not None else ""
    steps = f"{seconds_as_ms(found.point.step.value)} ms a step instead of {seconds_as_ms(best.step.value)} ms"
    return f"{told}; batch {at} is within 5 % of that, at {steps}."


def _rivals(curve: Curve) -> list[Point]:
    """The points from which the best one is statistically indistinguishable."""
    moved = {MOVED: curve.row.get(MOVED)}
    ranking = rank([{"point": point, **moved} for point in curve.points], lambda row: row["point"].throughput)
    return [row["point"] for row in ranking.rivals] if ranking else []


def _crossover_sentence(found: Crossover) -> str:
    device, where = escape(found.device), f" ({escape(found.label)})"
    if found.low == 0 and found.high == math.inf:
        return (
            f"{device} and the CPU are statistically indistinguishable up to batch {batch_text(found.largest)}{where}."
        )
    if found.batch == 0 and found.high == 0:
        return f"{device} is ahead of the CPU at every batch size measured, from {batch_text(found.smallest)}{where}."
    if found.batch == math.inf:
        return f"{device} does not overtake the CPU up to batch {batch_text(found.largest)}{where}."
    interval = "" if found.low is None else f", 95 % interval {crossover_range(found)}"
    return f"{device} overtakes the CPU at **batch {crossover_text(found)}**{interval}{where}."
