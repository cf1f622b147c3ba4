"""Figures of energy: speed against energy with the Pareto front, energy over batch size, power drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from analysis.cells.groups import Group, groups, line_columns
from analysis.cells.naming import label
from analysis.cells.rows import records
from analysis.figures.panels import batch_axis, legend_outside, plain_figure, value_axis, written_out
from analysis.figures.style import COLOURS, MARKERS, Line, draw_lines

MAX_LINES = 8
MAX_WITH_STEPS = 30
"""Times that an x axis' largest value may be its smallest with labels at 2 and 5 of a decade too."""
_INK = "#333333"


def _log_axes(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Both axes logarithmic with plain numbers, and enough room for labels."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, values, limits in ((axes.xaxis, x, axes.set_xlim), (axes.yaxis, y, axes.set_ylim)):
        low, high = min(values), max(values)
        margin = max(1.12, (high / low) ** 0.08)
        limits(low / margin, high * margin)
        dense, usual, sparse = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,)
        # Numbers stand side by side on the x axis: six digits leave room for a few.
        is_long = axis is axes.xaxis and high / low > MAX_WITH_STEPS
        axis.set_major_locator(LogLocator(subs=dense if high / low < 8 else sparse if is_long else usual))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(written_out)


def draw_front(path: Path, cells: pd.DataFrame, *, title: str, item: str) -> int:
    """Every cell by its speed and energy; those on the Pareto front filled, with their batch sizes beside them.

    Args:
        path: The file.
        cells: Of ``energy.costs``, of one group of ``energy.domain_columns``.
        title: Of the figure.
        item: What is counted.

    Returns:
        How many ways of doing the task there were; at most ``MAX_LINES`` are drawn.
    """
    known = cells[cells["throughput_items_per_s"].notna()]
    names = line_columns(known)
    lines = groups(known, names)
    shown = _frugal(lines)
    with plain_figure(path) as (_, axes):
        front = known[known["is_on_front"]].sort_values("throughput_items_per_s")
        for i, group in enumerate(shown):
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            on = group.cells["is_on_front"].to_numpy(bool)
            x, y = (group.cells[c].to_numpy(float) for c in ("throughput_items_per_s", "energy_per_item_j"))
            along = np.argsort(group.cells["batch_size"].to_numpy(float), kind="stable")
            axes.plot(x[along], y[along], color=colour, linewidth=0.8, alpha=0.5, zorder=1.2)
            axes.plot(x[~on], y[~on], linestyle="", marker=marker, color=colour, markerfacecolor="white", zorder=2)
            axes.plot(x[on], y[on], linestyle="", marker=marker, color=colour, markersize=7, zorder=3)
            axes.plot([], [], linestyle="", marker=marker, color=colour, label=label(group.row, names))
        _log_axes(axes, known["throughput_items_per_s"].tolist(), known["energy_per_item_j"].tolist())
        _draw_stairs(axes, front)
        _name_batches(axes, front)
        axes.set(title=title, xlabel=f"throughput ({item}/s)", ylabel=f"energy (J per {item.removesuffix('s')})")
        legend_outside(axes)
    return len(lines)


def _frugal(lines: Sequence[Group]) -> list[Group]:
    """The ``MAX_LINES`` ways of doing a task with the least energy for an item, in order; the front's are first."""

    def rank(i: int) -> tuple[bool, float]:
        cells = lines[i].cells
        return not cells["is_on_front"].any(), float(cells["energy_per_item_j"].min())

    return [lines[i] for i in sorted(sorted(range(len(lines)), key=rank)[:MAX_LINES])]


def _draw_stairs(axes: Axes, front: pd.DataFrame) -> None:
    """The least energy that each throughput takes: between two cells of the front that of the faster one."""
    speeds, joules = front["throughput_items_per_s"].tolist(), front["energy_per_item_j"].tolist()
    x, y = [axes.get_xlim()[0], *speeds, speeds[-1]], [joules[0], *joules, axes.get_ylim()[1]]
    axes.step(x, y, where="pre", color=_INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1.5,
              label="Pareto front (filled)")  # fmt: skip


def _name_batches(axes: Axes, front: pd.DataFrame) -> None:
    """The batch sizes of the front's cells, on the side where no cell is, left out where they would overlap."""
    taken: list[tuple[float, float]] = []
    for row in records(front[front["batch_size"].notna()]):
        at = axes.transData.transform((row["throughput_items_per_s"], row["energy_per_item_j"]))
        if all(np.hypot(*(at - np.array(other))) > 14 for other in taken):
            axes.annotate(f"{row['batch_size']:,.0f}", (row["throughput_items_per_s"], row["energy_per_item_j"]),
                          xytext=(5, -12), textcoords="offset points", fontsize=8.5, color=_INK)  # fmt: skip
            taken.append((float(at[0]), float(at[1])))


def draw_over_batch(path: Path, cells: pd.DataFrame, *, title: str, item: str) -> bool:
    """Items per joule over the batch size; False, and no file, where no line has two batch sizes."""
    names = line_columns(cells)
    lines = []
    for group in _frugal([g for g in groups(cells, names) if g.cells["batch_size"].nunique() > 1]):
        known = group.cells.sort_values("batch_size", kind="stable").drop_duplicates("batch_size")
        lines.append(Line(label=label(group.row, names), x=known["batch_size"].tolist(),
                          y=(1 / known["energy_per_item_j"].astype("float64")).tolist()))  # fmt: skip
    if not lines:
        return False
    values = [y for line in lines for y in line.y]
    with plain_figure(path) as (_, axes):
        draw_lines(axes, lines)
        batch_axis(axes, [x for line in lines for x in line.x])
        value_axis(axes, values)
        axes.set(title=title, xlabel="batch size", ylabel=f"{item} per joule")
    return True
