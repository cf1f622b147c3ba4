"""Figures of energy: speed against energy with the Pareto front, energy over batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.cells.groups import Group, groups, line_columns, of
from analysis.cells.rows import items, records
from analysis.figures.lines import Series, draw_series, values
from analysis.figures.meanings import marker_size, meanings
from analysis.figures.panels import INK, batch_axis, legend_right, log_ticks, named, panels, value_axis
from analysis.stats.estimate import Figure

AXES = ("throughput_items_per_s", "energy_per_item_j")
MAX_LINES = 8
MAX_WITH_STEPS = 30
"""Times that an x axis' largest value may be its smallest with labels at 2 and 5 of a decade too."""


def _log_axes(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Both axes logarithmic with plain numbers, and enough room for labels."""
    axes.set(xscale="log", yscale="log")
    for axis, along, limits in ((axes.xaxis, x, axes.set_xlim), (axes.yaxis, y, axes.set_ylim)):
        low, high = min(along), max(along)
        margin = max(1.12, (high / low) ** 0.08)
        limits(low / margin, high * margin)
        dense, usual, sparse = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,)
        # Numbers stand side by side on the x axis: six digits leave room for a few.
        is_long = axis is axes.xaxis and high / low > MAX_WITH_STEPS
        log_ticks(axis, dense if high / low < 8 else sparse if is_long else usual)


def draw_front(path: Path, domain: Group) -> str | None:
    """Every cell by its speed and energy; those on the Pareto front filled, with their batch sizes beside them."""
    known = domain.cells[domain.cells["throughput_items_per_s"].notna()]
    if len(known) < 2:
        return None
    title, item = f"Speed against energy{of(domain.name)}", items(domain.row)
    lines = groups(known, line_columns(known))
    with panels(path) as (_, (axes,)):
        front = known[known["is_on_front"]].sort_values("throughput_items_per_s")
        looks = meanings()
        for group in _frugal(lines):
            colour, marker = looks.colour(group.name), looks.marker(group.name)
            on = group.cells["is_on_front"].to_numpy(bool)
            x, y = (group.cells[c].to_numpy(float) for c in AXES)
            along = np.argsort(group.cells["batch_size"].to_numpy(float), kind="stable")
            axes.plot(x[along], y[along], color=colour, linewidth=0.8, alpha=0.5, zorder=1.2)
            size, is_sign = marker_size(marker), isinstance(marker, str)
            face = "white" if is_sign else colour
            axes.plot(x[~on], y[~on], linestyle="", marker=marker, color=colour, markersize=size, markerfacecolor=face,
                      alpha=1.0 if is_sign else 0.5, zorder=2)  # fmt: skip
            axes.plot(x[on], y[on], linestyle="", marker=marker, color=colour, markersize=1.3 * size, zorder=3)
            axes.plot([], [], linestyle="", marker=marker, markersize=size, color=colour, label=group.name)
        _log_axes(axes, *(known[c].tolist() for c in AXES))
        _draw_stairs(axes, front)
        _name_batches(axes, front)
        axes.set(title=title, xlabel=f"throughput ({item}/s)", ylabel=f"energy (J per {item.removesuffix('s')})")
        legend_right(axes)
    left = f", the {MAX_LINES} most energy-efficient of {len(lines)} settings" if len(lines) > MAX_LINES else ""
    told = named([group.name for group in _frugal(lines)], len(lines))
    return f"{title}: cells on the Pareto front filled, with their batch sizes, {told}{left}"


def _frugal(lines: Sequence[Group]) -> list[Group]:
    """The ``MAX_LINES`` ways of doing a task with the least energy for an item, in order; the front's are first."""
    least = [(not line.cells["is_on_front"].any(), float(line.cells["energy_per_item_j"].min())) for line in lines]
    return [lines[i] for i in sorted(sorted(range(len(lines)), key=least.__getitem__)[:MAX_LINES])]


def _draw_stairs(axes: Axes, front: pd.DataFrame) -> None:
    """The least energy that each throughput takes: between two cells of the front that of the faster one."""
    speeds, joules = (front[c].tolist() for c in AXES)
    x, y = [axes.get_xlim()[0], *speeds, speeds[-1]], [joules[0], *joules, axes.get_ylim()[1]]
    axes.step(x, y, where="pre", color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1.5,
              label="Pareto front (filled)")  # fmt: skip


def _name_batches(axes: Axes, front: pd.DataFrame) -> None:
    """The batch sizes of the front's cells, on the side where no cell is, left out where they would overlap."""
    taken: list[tuple[float, float]] = []
    for row in records(front[front["batch_size"].notna()]):
        point = tuple(row[c] for c in AXES)
        at = axes.transData.transform(point)
        if all(np.hypot(*(at - np.array(other))) > 14 for other in taken):
            axes.annotate(f"{row['batch_size']:,.0f}", point, xytext=(5, -12), textcoords="offset points",
                          fontsize=8.5, color=INK)  # fmt: skip
            taken.append((float(at[0]), float(at[1])))


def draw_over_batch(path: Path, domain: Group) -> str | None:
    """Items per joule over the batch size; None, and no file, where no line has two batch sizes."""
    lines = []
    found = groups(domain.cells, line_columns(domain.cells))
    several = [g for g in found if g.cells["batch_size"].nunique() > 1]
    for group in _frugal(several):
        known = group.cells.sort_values("batch_size", kind="stable").drop_duplicates("batch_size")
        frugality = [Figure(value=1 / float(joules)) for joules in known["energy_per_item_j"]]
        lines.append(Series(label=group.name, kind=group.name, x=known["batch_size"].tolist(), y=frugality))
    if not lines:
        return None
    item = items(domain.row)
    title = f"{item.capitalize()} per joule over batch size{of(domain.name)}"
    with panels(path) as (_, (axes,)):
        draw_series(axes, lines)
        batch_axis(axes, [x for line in lines for x in line.x])
        value_axis(axes, values(lines))
        legend_right(axes)
        axes.set(title=title, xlabel="batch size", ylabel=f"{item} per joule")
    return f"{title}, {named([line.label for line in lines], len(several))}"
