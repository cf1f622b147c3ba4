"""Figures of latency: percentiles of cells, speed against latency, and copies as a share of a step."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.cells.groups import Group, groups, line_columns, of, task_columns
from analysis.cells.naming import label, labels, varying
from analysis.cells.rows import complete, records
from analysis.contract.cells import SERVER
from analysis.figures.front import Trade, draw_front
from analysis.figures.lines import Series, draw_series, in_unit, values
from analysis.figures.panels import (
    WIDTH,
    legend_above,
    legend_right,
    name_rows,
    named,
    note_right,
    panels,
    value_axis,
)
from analysis.figures.style import COLOURS
from analysis.stats.estimate import of_row
from analysis.subjects.latency.quantities import PERCENTILES, SHARES
from analysis.text import is_missing, seconds_as_ms

MAX_LINES = 8
MAX_BARS = 24
BARS_WIDTH, CHARACTER_WIDTH = 5.2, 0.075
"""Inches of the bars with what stands around them, and of a character of their names."""


def nines(share: float) -> float:
    """Where a percentile lies on an axis that gives every further nine the same room."""
    return -math.log10(1 - share)


def percentile_lines(cells: pd.DataFrame) -> tuple[list[Series], int]:
    """Latency over percentile, a line for each cell with two percentiles at least, at most ``MAX_LINES``.

    Of more cells those with the smallest and the largest batch of each way of doing the task are taken, of the quickest
    ways first. Returned are the lines, x by ``nines`` and y in seconds, and the number of cells there were.
    """
    shown = cells[cells[list(PERCENTILES.values())].notna().sum(axis=1) > 1]
    n = len(shown)
    if n > MAX_LINES:
        ways = [g.cells.sort_values("batch_size", kind="stable") for g in groups(shown, line_columns(shown))]
        ways.sort(key=lambda way: float(way["latency_p50_s"].min()))
        ends = [i for way in ways for i in way.index[[0, -1]]]
        shown = shown.loc[list(dict.fromkeys(ends))[:MAX_LINES]].sort_index()
    names = [*line_columns(cells), *varying(cells, ["batch_size", "rate_per_s"])]
    coloured = "precision" if shown["device"].nunique() == 1 else "device"
    lines = []
    for row, name in zip(records(shown), labels(shown, names), strict=True):
        kind = label(row, [n for n in names if n != coloured])
        points = {nines(SHARES[p]): of_row(row, [c]) for p, c in PERCENTILES.items() if not is_missing(row[c])}
        lines.append(Series(label=name, group=str(row[coloured]), kind=kind, x=list(points), y=list(points.values())))
    return lines, n


def draw_percentiles(path: Path, task: Group) -> str | None:
    """Latency over percentile, on an axis of nines."""
    lines, n = percentile_lines(task.cells)
    if not lines or task.row["scenario"] == SERVER:  # the load curve says more of a server
        return None
    left = f" ({len(lines)} of {n} cells)" if len(lines) < n else ""
    title = f"Latency by percentile{of(task.name)}"
    scaled, unit = in_unit(lines)
    end = max(x for line in lines for x in line.x)
    ticks = {name: nines(s) for name, s in SHARES.items() if nines(s) <= end}
    with panels(path) as (_, (axes,)):
        draw_series(axes, scaled)
        axes.set_xticks(list(ticks.values()), list(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        value_axis(axes, values(scaled))
        legend_right(axes)
        alone = f"\n{lines[0].label}" if len(lines) == 1 else ""  # which has no legend
        axes.set(title=f"{title}{left}{alone}", xlabel="percentile", ylabel=f"latency ({unit})")
    return f"{title}: p50 to p99.9 where samples are enough, {named([line.label for line in lines], n)}"


def draw_latency_front(path: Path, task: Group) -> str | None:
    """Speed against the p99, or against the median step where not every cell has one; None of one batch size."""
    cells = complete(task.cells)
    if task.row["scenario"] == SERVER or cells["batch_size"].nunique() < 2:
        return None  # with one batch size the one is the other's inverse
    has_tails = bool(cells["latency_p99_s"].notna().all())
    latency = cells["latency_p99_s" if has_tails else "step_median_s"]
    trade = Trade(column="latency_ms", name="latency", axis="p99 (ms)" if has_tails else "median step (ms)")
    return draw_front(path, replace(task, cells=cells.assign(latency_ms=1e3 * latency)), trade)


def transfers_shown(cells: pd.DataFrame) -> pd.DataFrame:
    """Of more cells than a figure holds bars the fastest of each task, device and batch size, in their order."""
    if len(cells) <= MAX_BARS:
        return cells
    names = [*task_columns(cells), "device", "batch_size"]
    best = cells.loc[cells.groupby(names, dropna=False)["serial_step_s"].idxmin()]
    return best.sort_index().head(MAX_BARS)


def draw_transfers(path: Path, group: Group) -> str | None:
    """Bars of copy in, computation and copy out as shares of the step; a mark where the overlapped step ends."""
    if group.row["device"] == "cpu":  # its copies stay in one memory, and are too short to see
        return None
    shown, n = transfers_shown(group.cells), len(group.cells)
    left = f" ({len(shown)} of {n} cells)" if len(shown) < n else ""
    title = f"Copies as a share of a step{of(group.name)}"
    shown = shown.astype({c: "float64" for c in ("overlapped_step_s", "copy_in_s", "copy_out_s")})
    told = labels(shown, [*line_columns(shown, without=["scenario"]), "batch_size"])
    width = max(WIDTH, BARS_WIDTH + CHARACTER_WIDTH * max(map(len, told)))
    with panels(path, size=(width, 1.5 + 0.3 * len(shown))) as (_, (axes,)):
        _draw_shares(axes, shown)
        name_rows(axes, told)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g} %"))
        axes.set(xlabel="share of a step without overlap (its length on the right)")
        legend_above(axes, f"{title}{left}")
    fastest = ", for each task and batch size, the cell with the highest throughput" if left else ""
    return f"{title}: copy in, computation and copy out as shares{fastest}{left}"


def _draw_shares(axes: Axes, cells: pd.DataFrame) -> None:
    """A bar a cell in per cent of its step, the step's length right of it, as the bars share one scale of shares."""
    parts = (("copy_in_s", "copy in", COLOURS[1], "////"), ("compute_s", "computation", "#dddddd", ""),
             ("copy_out_s", "copy out", COLOURS[0], "...."))  # fmt: skip
    places = [-i for i in range(len(cells))]
    begins = pd.Series(0.0, index=cells.index)
    for column, name, colour, hatch in parts:
        width = 100 * cells[column] / cells["serial_step_s"]
        axes.barh(places, width, left=begins, height=0.62, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5,
                  label=name)  # fmt: skip
        begins = begins + width
    overlapped = 100 * cells["overlapped_step_s"] / cells["serial_step_s"]
    if overlapped.notna().any():
        axes.plot(overlapped, places, "D", color="black", markersize=5.5, label="overlapped step")
    for place, seconds in zip(places, cells["serial_step_s"], strict=True):
        note_right(axes, place, f"{seconds_as_ms(seconds)} ms")
    axes.set_xlim(0, max(100.0, float(overlapped.max()) + 3 if overlapped.notna().any() else 0))
