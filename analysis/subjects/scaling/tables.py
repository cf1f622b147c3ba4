"""Sentences and tables of a scaling report, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.subjects.scaling.crossover import Crossover
from analysis.subjects.scaling.quantities import Curve, Knee, knee
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
