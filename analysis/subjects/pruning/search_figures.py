"""Figures of searches: the Pareto front, the best so far, and throughput over the batch sizes tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.cells.groups import Task
from analysis.cells.ranking import speed
from analysis.contract.cells import BOUNDS_BATCH
from analysis.contract.objectives import OBJECTIVES, Objective
from analysis.figures.lines import Series, draw_series, values
from analysis.figures.panels import GREY, INK, WIDTH, batch_axis, legend_right, panels, value_axis
from analysis.figures.style import COLOURS
from analysis.stats.estimate import known
from analysis.subjects.pruning.searches import BatchSearch, Search

_CHARACTER_PT = 4.8
"""Width of a character at the names' size, in points."""
_OUT = {"linestyle": "", "marker": "x", "color": GREY, "label": "pruned, or over\na limit"}
MAX_LINES = 8
"""More batch searches in one figure are too many to follow."""


def draw_search(path: Path, search: Search) -> str:
    """Draw a search: of one objective the best so far over the trials, of several each against the first."""
    title = f"Search of {search.name}"
    objectives = [OBJECTIVES[name] for name in search.objectives]
    if len(objectives) == 1:
        with panels(path) as (_, (axes,)):
            _draw_history(axes, search, objectives[0])
            axes.set_title(title)
            legend_right(axes)
        return f"{title}: {objectives[0].title} of each trial and the best so far"
    others = objectives[1:]
    with panels(path, len(others), size=(WIDTH, 0.8 + 3.2 * len(others))) as (drawn, grid):
        for axes, other in zip(grid, others, strict=True):
            _draw_front(axes, search, objectives[0], other)
            axes.set_ylabel(other.title)
        grid[-1].set_xlabel(objectives[0].title)
        grid[0].set_title(title)
        legend_right(grid[0])
        drawn.draw_without_rendering()  # lays out, so that names can be kept apart
        for axes, other in zip(grid, others, strict=True):
            at = np.flatnonzero(search.front)
            points = zip(search.values(objectives[0])[at], search.values(other)[at], strict=True)
            _name_points(axes, list(points), [search.labels[int(i)] for i in at])
    told = " and ".join(o.title for o in others)
    return f"{title}: {told} over {objectives[0].title} of every complete cell, the front connected"


def _draw_front(axes: Axes, search: Search, first: Objective, other: Objective) -> None:
    x, y, front, able = search.values(first), search.values(other), search.front, search.candidates
    rest, broken = able & ~front, ~able & np.isfinite(x) & np.isfinite(y)
    if broken.any():
        axes.plot(x[broken], y[broken], markersize=6, **_OUT)
    axes.plot(x[rest], y[rest], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=GREY, label="beaten")
    order = np.flatnonzero(front)[np.argsort(x[front], kind="stable")]
    is_stepped = len(search.objectives) == 2  # of three objectives the front is a surface, which no line shows
    # What is to be had beyond a cell in the first objective has the next cell's value in the other.
    steps = "steps-post" if first.is_lower_better else "steps-pre"
    axes.plot(
        x[order], y[order], color=COLOURS[0], marker="D", linestyle="-" if is_stepped else "", linewidth=1.2,
        drawstyle=steps, label="Pareto front",
    )  # fmt: skip
    value_axis(axes, [float(v) for v in y[able]])


def _name_points(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Write names beside the points, right or left, below or above; left out where they would cover something."""
    pixel = axes.figure.dpi / 72
    spots = axes.transData.transform(points)
    taken = [(x - 4 * pixel, y - 4 * pixel, x + 4 * pixel, y + 4 * pixel) for x, y in spots]
    for (x, y), point, name in zip(spots, points, names, strict=True):
        width, height = _CHARACTER_PT * len(name) * pixel, 10 * pixel
        for to_right, below in ((True, True), (False, True), (False, False), (True, False)):
            left = x + 6 * pixel if to_right else x - 6 * pixel - width
            bottom = y - 3 * pixel - height if below else y + 3 * pixel
            right, top = left + width, bottom + height
            is_free = not any(left < x1 and x0 < right and bottom < y1 and y0 < top for x0, y0, x1, y1 in taken)
            if is_free and axes.bbox.x0 <= left and right <= axes.bbox.x1:
                taken.append((left, bottom, right, top))
                axes.annotate(
                    name, point, xytext=(6 if to_right else -6, -3 if below else 3), textcoords="offset points",
                    fontsize=8, color=INK, ha="left" if to_right else "right", va="top" if below else "bottom",
                )  # fmt: skip
                break


def _draw_history(axes: Axes, search: Search, objective: Objective) -> None:
    values, able = search.values(objective), search.candidates
    trial = np.arange(1, len(values) + 1)
    rest = ~able & np.isfinite(values)
    if rest.any():
        axes.plot(trial[rest], values[rest], **_OUT)
    axes.plot(trial[able], values[able], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=COLOURS[0],
              label="complete")  # fmt: skip
    running = np.fmin.accumulate if objective.is_lower_better else np.fmax.accumulate
    worst = np.inf if objective.is_lower_better else -np.inf
    best = running(np.where(able, values, worst))
    known_best = np.isfinite(best)
    axes.plot(trial[known_best], best[known_best], color=COLOURS[1], drawstyle="steps-post", label="best so far")
    value_axis(axes, [float(v) for v in values[able]])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial, in order of measurement", ylabel=objective.title)


def draw_batches(path: Path, searched: Task[BatchSearch]) -> str | None:
    """Throughput over the batch sizes tried, the fastest and the largest marked, crosses where memory ended."""
    found = [s for s in searched.members if any(row["status"] == "complete" for row in s.rows)][:MAX_LINES]
    if not found:
        return None
    title, series, oom = "Batch sizes tried", [], []
    for search in found:
        rows = [row for row in search.rows if known(row["throughput_items_per_s"])]
        series.append(Series(label=search.label, kind=search.label, x=[float(r["batch_size"]) for r in rows],
                             y=[speed(row) for row in rows]))  # fmt: skip
        oom += [float(row["batch_size"]) for row in search.rows if row["status"] in BOUNDS_BATCH]
    with panels(path) as (_, (axes,)):
        draw_series(axes, series)
        value_axis(axes, values(series))
        axes.set_ylim(axes.get_ylim()[0], (1.12 if axes.get_yscale() == "linear" else 1.4) * max(values(series)))
        _mark(axes, [s.fastest for s in found], marker="*", label="fastest")
        _mark(axes, [s.largest for s in found], marker="o", label="largest that ran")
        if oom:
            bottom = axes.get_ylim()[0]
            axes.plot(oom, [bottom] * len(oom), linestyle="", marker="x", markersize=9, markeredgewidth=2, color=INK,
                      clip_on=False, label="out of memory")  # fmt: skip
        batch_axis(axes, [*(x for one in series for x in one.x), *oom])
        legend_right(axes)
        axes.set(title=title, xlabel="batch size", ylabel="throughput (items/s)")
    lines = "; ".join(s.label for s in found)
    return f"{title}: throughput over batch size of {lines}, the fastest and the largest marked"


def _mark(axes: Axes, rows: Sequence[dict[str, object] | None], *, marker: str, label: str) -> None:
    """An open sign around the points of a role."""
    points = [(row["batch_size"], row["throughput_items_per_s"]) for row in rows if row is not None]
    if points:
        axes.plot(*zip(*points, strict=True), linestyle="", marker=marker, markersize=18 if marker == "*" else 13,
                  markerfacecolor="none", markeredgecolor=INK, label=label)  # fmt: skip
