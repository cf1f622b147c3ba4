"""The tables of the report on scaling, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from analysis.page.columns import Column, column_table, estimated, ranged, valued
from analysis.subjects.scaling.crossover import Crossover
from analysis.subjects.scaling.quantities import Curve, Knee, Point, knee
from analysis.text import MISSING, escape, joined, seconds_as_ms, significant


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
    """A batch size between those measured."""
    return significant(batch)


def knee_table(curves: Sequence[Curve], item: str) -> str:
    """For each curve its best batch and its knee."""

    def at_knee(show: Callable[[Knee], str]) -> Callable[[Curve], str]:
        return lambda curve: MISSING if (found := knee(curve)) is None else show(found)

    return column_table(curves, [
        Column("setting", lambda curve: escape(joined(curve.task, curve.label))),
        Column("best batch", lambda curve: batch_text(curve.best.batch_size)),
        valued(f"throughput ({item}/s)", lambda curve: curve.best.throughput),
        ranged(f"95 % interval ({item}/s)", lambda curve: curve.best.throughput),
        valued("median step (ms)", lambda curve: curve.best.step.times(1e3)),
        Column("knee batch", at_knee(lambda found: batch_text(found.point.batch_size))),
        Column("could be", at_knee(knee_range)),
        Column(f"throughput at knee ({item}/s)", at_knee(lambda found: found.point.throughput.text)),
        Column("step at knee (ms)", at_knee(lambda found: seconds_as_ms(found.point.step.value))),
        Column("still growing", at_knee(lambda found: "yes" if found.is_open else "no")),
    ])  # fmt: skip


def crossover_table(found: Sequence[Crossover]) -> str:
    """Every accelerator against the CPU."""
    return column_table(found, [
        Column("against the CPU", lambda c: escape(joined(c.task, c.device, c.label))),
        Column("crossover batch", crossover_text),
        Column("95 % interval", crossover_range),
        Column("smallest batch", lambda c: batch_text(c.smallest)),
        estimated("speed there over the CPU's", lambda c: c.at_smallest),
        Column("largest batch", lambda c: batch_text(c.largest)),
        estimated("speed there over the CPU's", lambda c: c.at_largest),
    ])  # fmt: skip


def cells_table(curves: Sequence[Curve], item: str) -> str:
    """Every cell of the curves, those that failed too."""
    cells: list[tuple[Curve, Point]] = []
    for curve in curves:
        by_batch = {p.batch_size: p for p in (*curve.failed, *curve.points)}
        cells += [(curve, by_batch[batch]) for batch in sorted(by_batch)]

    def share(curve: Curve, point: Point) -> str:
        value, best = point.throughput.value, curve.best.throughput.value or math.nan
        return MISSING if value is None else f"{100 * value / best:.1f}"

    columns = [
        Column("setting", lambda cell: escape(joined(cell[0].task, cell[0].label))),
        Column("batch size", lambda cell: batch_text(cell[1].batch_size)),
        valued(f"throughput ({item}/s)", lambda cell: cell[1].throughput),
        ranged(f"95 % interval ({item}/s)", lambda cell: cell[1].throughput),
        Column("of its best (%)", lambda cell: share(*cell)),
        valued("median step (ms)", lambda cell: cell[1].step.times(1e3)),
        ranged("95 % interval (ms)", lambda cell: cell[1].step.times(1e3)),
    ]
    if any(point.status != "complete" for _, point in cells):
        columns.append(Column("status", lambda cell: escape(cell[1].status)))
    return column_table(cells, columns)
