"""What is traded for speed: cells by their throughput and another figure, with the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.cells.groups import Group, groups, line_columns, of
from analysis.cells.rows import complete, items, records
from analysis.contract.choice import pareto
from analysis.figures.meanings import marker_size, meanings
from analysis.figures.panels import INK, legend_right, log_ticks, named, panels

SPEED = "throughput_items_per_s"
ON_FRONT = "is_on_front"
MAX_LINES = 8
MAX_WITH_STEPS = 30
"""Times that an x axis' largest value may be its smallest with labels at 2 and 5 of a decade too."""
CHARACTER_PX = 12
"""Of a batch size written beside its cell, with what keeps it apart from the next."""
MAX_PLAIN_RATIO = 1.3
"""Times that a y axis' largest value may be its smallest without being logarithmic: decades have no ticks within."""


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What stands against speed: its column, its name, and its axis, ``{item}`` in it being what is counted."""

    column: str
    name: str
    axis: str
    is_lower_better: bool = True


def draw_front(path: Path, task: Group, trade: Trade) -> str | None:
    """Complete cells by speed and what is traded for it; those on the Pareto front filled, with their batch sizes.

    None, and no file, where there are fewer than two with both figures, or where all have the same.
    """
    cells = complete(task.cells)
    known = cells[cells[SPEED].notna() & cells[trade.column].notna()]
    if len(known) < 2 or known[trade.column].nunique() < 2:
        return None
    gains = known[trade.column].astype(float) * (-1 if trade.is_lower_better else 1)
    known = known.assign(**{ON_FRONT: pareto(list(zip(known[SPEED].astype(float), gains, strict=True)))})
    title, item = f"Speed against {trade.name}{of(task.name)}", items(task.row)
    lines = groups(known, line_columns(known))
    shown = foremost(lines, trade)
    with panels(path) as (_, (axes,)):
        front = known[known[ON_FRONT]].sort_values(SPEED)
        for group in shown:
            _draw_line(axes, group, trade.column)
        _scale(axes, *(known[c].astype(float).tolist() for c in (SPEED, trade.column)))
        _draw_stairs(axes, front, trade)
        _name_batches(axes, front, trade)
        axes.set(title=title, xlabel=f"throughput ({item}/s)", ylabel=trade.axis.format(item=item.removesuffix("s")))
        legend_right(axes)
    told = named([group.name for group in shown], len(lines))
    return f"{title}: cells on the Pareto front filled, with their batch sizes, {told}"


def foremost(lines: Sequence[Group], trade: Trade) -> list[Group]:
    """The ``MAX_LINES`` ways of doing a task that are best in what is traded, in order; the front's are first."""

    def place(line: Group) -> tuple[bool, float]:
        values = line.cells[trade.column].astype(float) * (1 if trade.is_lower_better else -1)
        return not line.cells[ON_FRONT].any(), float(values.min())

    found = sorted(range(len(lines)), key=lambda i: place(lines[i]))[:MAX_LINES]
    return [lines[i] for i in sorted(found)]


def _draw_line(axes: Axes, group: Group, column: str) -> None:
    """The cells of one way of doing the task, joined in the order of their batch sizes."""
    colour, marker = meanings().colour(group.name), meanings().marker(group.name)
    on = group.cells[ON_FRONT].to_numpy(bool)
    x, y = (group.cells[c].to_numpy(float) for c in (SPEED, column))
    along = np.argsort(group.cells["batch_size"].to_numpy(float), kind="stable")
    axes.plot(x[along], y[along], color=colour, linewidth=0.8, alpha=0.5, zorder=1.2)
    size, is_sign = marker_size(marker), isinstance(marker, str)
    face = "white" if is_sign else colour
    axes.plot(x[~on], y[~on], linestyle="", marker=marker, color=colour, markersize=size, markerfacecolor=face,
              alpha=1.0 if is_sign else 0.5, zorder=2)  # fmt: skip
    axes.plot(x[on], y[on], linestyle="", marker=marker, color=colour, markersize=1.3 * size, zorder=3)
    axes.plot([], [], linestyle="", marker=marker, markersize=size, color=colour, label=group.name)


def _scale(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Both axes logarithmic with plain numbers and enough room for labels, if y spans enough for that."""
    for axis, along, limits in ((axes.xaxis, x, axes.set_xlim), (axes.yaxis, y, axes.set_ylim)):
        low, high = min(along), max(along)
        if axis is axes.yaxis and (low <= 0 or high / low < MAX_PLAIN_RATIO):
            limits(low - 0.12 * (high - low), high + 0.12 * (high - low))
            axis.set_major_locator(MaxNLocator(6))
            continue
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        margin = max(1.12, (high / low) ** 0.08)
        limits(low / margin, high * margin)
        dense, usual, sparse = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0,)
        # Numbers stand side by side on the x axis: six digits leave room for a few.
        is_long = axis is axes.xaxis and high / low > MAX_WITH_STEPS
        log_ticks(axis, dense if high / low < 8 else sparse if is_long else usual)


def _draw_stairs(axes: Axes, front: pd.DataFrame, trade: Trade) -> None:
    """The best that goes with each throughput: between two cells of the front that of the faster one."""
    speeds, values = (front[c].tolist() for c in (SPEED, trade.column))
    worst = axes.get_ylim()[1 if trade.is_lower_better else 0]
    x, y = [axes.get_xlim()[0], *speeds, speeds[-1]], [values[0], *values, worst]
    axes.step(x, y, where="pre", color=INK, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1.5,
              label="Pareto front (filled)")  # fmt: skip


def _name_batches(axes: Axes, front: pd.DataFrame, trade: Trade) -> None:
    """The batch sizes of the front's cells, on the side where no cell is, left out where they would overlap."""
    taken: list[tuple[float, float]] = []
    away = (5, -12 if trade.is_lower_better else 6)
    for row in records(front[front["batch_size"].notna()]):
        point = (row[SPEED], row[trade.column])
        at = axes.transData.transform(point)
        told = f"{row['batch_size']:,.0f}"
        if all(abs(at[0] - x) > CHARACTER_PX * len(told) or abs(at[1] - y) > 2 * CHARACTER_PX for x, y in taken):
            axes.annotate(told, point, xytext=away, textcoords="offset points",
                          fontsize=8.5, color=INK)  # fmt: skip
            taken.append((float(at[0]), float(at[1])))
