"""Sentences and tables of a scaling report, as Markdown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from analysis.crossover import FASTEST, Crossover
from analysis.scaling import Curve, Knee, knee
from analysis.text import MISSING, escape, number, seconds_as_ms, significant, table

MAX_ROWS = 500
"""Rows of a table; nobody reads more, and the Parquet files have them all."""


def batch_text(batch: float) -> str:
    """A batch size as measured."""
    return f"{batch:,.0f}"


def knee_range(found: Knee) -> str:
    """The batches that could be the knee: ``16 to 32``, one where it is certain."""
    if found.low is None or found.high is None:
        return MISSING
    low, high = batch_text(found.low), batch_text(found.high)
    return low if low == high else f"{low} to {high}"


def crossover_text(found: Crossover) -> str:
    """Where the accelerator overtakes the CPU, in words."""
    if found.batch == 0:
        return f"{batch_text(found.smallest)} or below"
    if found.batch == math.inf:
        return f"none up to {batch_text(found.largest)}"
    return _interpolated(found, found.batch)


def crossover_range(found: Crossover) -> str:
    """Its interval in words."""
    if found.low is None or found.high is None:
        return MISSING
    if found.low == math.inf:
        return f"over {batch_text(found.largest)}"
    if found.high == 0:
        return f"{batch_text(found.smallest)} or below"
    low = f"{batch_text(found.smallest)} or below" if found.low == 0 else _interpolated(found, found.low)
    high = f"over {batch_text(found.largest)}" if found.high == math.inf else _interpolated(found, found.high)
    return f"{low} to {high}"


def _interpolated(found: Crossover, batch: float) -> str:
    """A batch size between those measured, with the digits that the interval supports."""
    if found.low is None or found.high is None or found.low == 0 or found.high == math.inf:
        return significant(batch, 2)
    return number(batch, found.low, found.high)


def answer(curves: Sequence[Curve], crossovers: Sequence[Crossover], item: str) -> list[str]:
    """For each task one paragraph: the best batch of each device, its knee, and the crossovers."""
    said = []
    for task, of_task in itertools.groupby(curves, key=lambda c: c.task):
        members = list(of_task)
        sentences = [_best_sentence(_best(group), item) for group in _by_place(members)]
        sentences += [_crossover_sentence(c) for c in _telling([c for c in crossovers if c.task == task])]
        said.append(f"{f'{escape(task)}: ' if task else ''}{' '.join(sentences)}")
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


def knee_table(curves: Sequence[Curve], item: str) -> str:
    """For each curve its best batch and its knee."""
    rows = []
    for curve in curves:
        found, best = knee(curve), curve.best
        shown = [MISSING] * 5
        if found is not None:
            at = found.point
            shown = [batch_text(at.batch_size), knee_range(found), at.throughput.text, seconds_as_ms(at.step.value),
                     "yes" if found.is_open else "no"]  # fmt: skip
        name = ", ".join(word for word in (curve.task, curve.label) if word)
        rows.append([
            escape(name), batch_text(best.batch_size), best.throughput.text, best.throughput.interval_text,
            seconds_as_ms(best.step.value, best.step.low, best.step.high), *shown,
        ])  # fmt: skip
    headers = ["setting", "best batch", f"throughput ({item}/s)", f"95 % interval ({item}/s)", "median step (ms)",
               "knee batch", "could be", f"throughput at knee ({item}/s)", "step at knee (ms)",
               "still growing"]  # fmt: skip
    return table(headers, rows) if rows else ""


def crossover_table(found: Sequence[Crossover]) -> str:
    """Every accelerator against the CPU."""
    rows = []
    for c in found:
        name = ", ".join(word for word in (c.task, c.device, c.label) if word)
        rows.append([escape(name), crossover_text(c), crossover_range(c), f"{batch_text(c.smallest)}",
                     c.at_smallest.full_text, batch_text(c.largest), c.at_largest.full_text])  # fmt: skip
    headers = ["against the CPU", "crossover batch", "95 % interval", "smallest batch",
               "speed there over the CPU's", "largest batch", "speed there over the CPU's"]  # fmt: skip
    return table(headers, rows) if rows else ""


def cells_table(curves: Sequence[Curve], item: str) -> str:
    """Every cell of the curves, those that failed too."""
    rows = []
    for curve in curves:
        best = curve.best.throughput.value or math.nan
        name = escape(", ".join(word for word in (curve.task, curve.label) if word))
        shown: dict[float, list[str]] = {b: [*[MISSING] * 5, escape(s)] for b, s in curve.failed.items()}
        for p in curve.points:
            step = p.step.times(1e3)
            shown[p.batch_size] = [
                p.throughput.text, p.throughput.interval_text, f"{100 * (p.throughput.value or 0) / best:.1f}",
                step.text, step.interval_text, "pruned" if p.is_pruned else "complete",
            ]  # fmt: skip
        rows += [[name, batch_text(b), *shown[b]] for b in sorted(shown)]
    headers = ["setting", "batch size", f"throughput ({item}/s)", f"95 % interval ({item}/s)", "of its best (%)",
               "median step (ms)", "95 % interval (ms)", "status"]  # fmt: skip
    rows = rows[:MAX_ROWS]
    if all(row[-1] == "complete" for row in rows):
        headers, rows = headers[:-1], [row[:-1] for row in rows]
    return table(headers, rows) if rows else ""
