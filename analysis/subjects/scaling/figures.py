"""The figure of a scaling report: throughput above, median step below, over the batch size."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from analysis.cells.groups import Task, of
from analysis.cells.identity import MACHINE, RUN
from analysis.figures.lines import Series, draw_series, values
from analysis.figures.panels import GREY, INK, WIDTH, batch_axis, legend_beside, n_shown, named, panels, value_axis
from analysis.stats.estimate import Figure
from analysis.subjects.scaling.crossover import FASTEST, Crossover
from analysis.subjects.scaling.quantities import Curve, Point, knee
from analysis.text import is_missing, significant

MAX_CURVES = 12
"""More curves are too many to follow; the fastest are kept, in their order."""
TITLE_CHARACTERS = 46


def draw_scaling(path: Path, task: Task[Curve], *, crossovers: Sequence[Crossover], item: str) -> str | None:
    """Draw one task's curves, rings around their knees, and where the accelerator overtakes the CPU.

    Of a single batch size nothing is drawn. Of the crossovers (of all tasks) the task's own is marked, that between the
    fastest settings if there are several.
    """
    curves = task.members
    if len({p.batch_size for curve in curves for p in curve.points}) < 2:
        return None
    crossing = [c for c in crossovers if c.task == task.name and c.crosses]
    marked = next((c for c in crossing if c.label.startswith(FASTEST)), crossing[0] if crossing else None)
    title = f"Throughput and median step over batch size{of(task.name)}"
    shown = fastest(curves)
    with panels(path, 2, size=(WIDTH, 6.0)) as (drawn, (above, below)):
        for axes, figure_of in ((above, lambda p: p.throughput), (below, lambda p: p.step.times(1e3))):
            lines = [series(curve, [figure_of(p) for p in curve.points]) for curve in shown]
            draw_series(axes, lines)
            value_axis(axes, values(lines))
        if marked is not None:
            _mark_crossover(above, marked)
        knees = [k.point for curve in shown if (k := knee(curve)) is not None and not k.is_open]
        _mark(above, knees, marker="o", markersize=13, markerfacecolor="none", markeredgewidth=1.0,
              label="knee: within 5 %\nof the best")  # fmt: skip
        pruned = [p for curve in shown for p in curve.points if p.status == "pruned"]
        _mark(above, pruned, marker="x", markersize=10, label="pruned early")
        batch_axis(below, [p.batch_size for curve in shown for p in curve.points])
        legend_beside(drawn, above, n_shown(len(shown), len(curves)))
        # Broken before the legend beside it, which begins at the same height.
        above.set(title=textwrap.fill(title, TITLE_CHARACTERS), ylabel=f"throughput ({item}/s)")
        below.set(xlabel="batch size", ylabel="median step (ms)")
    overtakes = f"; {marked.device} overtakes the CPU at batch {marked.batch:.2g}" if marked else ""
    return f"{title}, with 95 % intervals, {named([curve.label for curve in shown], len(curves))}{overtakes}"


def fastest(curves: Sequence[Curve]) -> list[Curve]:
    """The ``MAX_CURVES`` curves of the highest throughput, in their own order."""
    ranked = sorted(range(len(curves)), key=lambda i: -(curves[i].best.throughput.value or 0))[:MAX_CURVES]
    return [curves[i] for i in sorted(ranked)]


def series(curve: Curve, figures: Sequence[Figure]) -> Series:
    """A curve as a line: colour by device (and machine), marker by the other settings."""
    origin = [str(curve.row[c]) for c in (MACHINE, RUN) if not is_missing(curve.row.get(c))]
    kind = curve.label.removeprefix(f"{curve.device}, ")
    for word in origin:
        kind = kind.removesuffix(f", {word}")
    return Series(
        label=curve.label, group=", ".join([curve.device, *origin]), kind=kind,
        x=[p.batch_size for p in curve.points], y=figures,
    )  # fmt: skip


def _mark(axes: Axes, found: Sequence[Point], **style: Any) -> None:
    if found:
        axes.plot([p.batch_size for p in found], [p.throughput.value for p in found], linestyle="",
                  markeredgecolor=INK, **style)  # fmt: skip


def _mark_crossover(axes: Axes, found: Crossover) -> None:
    if found.low is not None and found.high is not None:
        low, high = max(found.low, found.smallest), min(found.high, found.largest)
        axes.axvspan(low, high, color="#dddddd", zorder=0, linewidth=0)
    axes.axvline(found.batch, color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    axes.annotate(
        f"{found.device} overtakes the\nCPU at batch {significant(found.batch)}", (found.batch, 0.98),
        xycoords=("data", "axes fraction"), xytext=(7, 0), textcoords="offset points", fontsize=8.5, color=INK,
        va="top",
    )  # fmt: skip
