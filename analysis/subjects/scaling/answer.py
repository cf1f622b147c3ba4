"""The sentences that the report on scaling begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.subjects.scaling.crossover import FASTEST, Crossover
from analysis.subjects.scaling.quantities import Curve, knee
from analysis.subjects.scaling.tables import batch_text, crossover_range, crossover_text, knee_range
from analysis.text import escape, seconds_as_ms


def answer(curves: Sequence[Curve], crossovers: Sequence[Crossover], item: str) -> list[str]:
    """For each task one paragraph: the best batch of each device, its knee, and the crossovers."""
    said = []
    for task in by_task(curves):
        sentences = [_best_sentence(_best(group), item) for group in _by_place(task.members)]
        sentences += [_crossover_sentence(c) for c in _telling([c for c in crossovers if c.task == task.name])]
        said.append(f"{f'{escape(task.name)}: ' if task.name else ''}{' '.join(sentences)}")
    return said


def _by_place(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Curves by machine, run and device."""
    found: dict[tuple[str, ...], list[Curve]] = {}
    for curve in curves:
        place = tuple(str(curve.row.get(c)) for c in ("machine", "run", "device"))
        found.setdefault(place, []).append(curve)
    return list(found.values())


def _best(curves: Sequence[Curve]) -> Curve:
    return max(curves, key=lambda c: c.best.throughput.value or 0)


def _best_sentence(curve: Curve, item: str) -> str:
    best, found = curve.best, knee(curve)
    told = (
        f"**{escape(curve.label)}** is fastest at batch {batch_text(best.batch_size)}: {best.throughput.text} {item}/s"
    )
    if found is None:
        return f"{told}, the only batch size measured."
    if found.is_open:
        failed = [(b, s) for b, s in sorted(curve.failed.items()) if b > best.batch_size]
        then = f"; batch {batch_text(failed[0][0])} ended as {failed[0][1]}" if failed else ""
        return f"{told}, still growing at this largest batch measured{then}."
    if best is curve.points[0]:
        return f"{told}; larger batches gain nothing."
    if found.point.batch_size == best.batch_size:
        return f"{told}; no smaller batch comes within 5 % of that."
    at = batch_text(found.point.batch_size)
    at += f" (interval {knee_range(found)})" if found.low is not None else ""
    steps = f"{seconds_as_ms(found.point.step.value)} ms a step instead of {seconds_as_ms(best.step.value)} ms"
    return f"{told}; batch {at} is within 5 % of that, at {steps}."


def _telling(found: Sequence[Crossover]) -> list[Crossover]:
    """The crossovers worth a sentence: those of the fastest settings, or all where there is one setting."""
    return [c for c in found if c.label.startswith(FASTEST)] or list(found)


def _crossover_sentence(found: Crossover) -> str:
    device, where = escape(found.device), f" ({escape(found.label)})"
    if found.batch == 0:
        return f"{device} is ahead of the CPU at every batch size measured, from {batch_text(found.smallest)}{where}."
    if found.batch == math.inf:
        return f"{device} does not overtake the CPU up to batch {batch_text(found.largest)}{where}."
    interval = "" if found.low is None else f", 95 % interval {crossover_range(found)}"
    return f"{device} overtakes the CPU at **batch {crossover_text(found)}**{interval}{where}."
