"""Figures of latency: percentiles of cells, the tail over the arrival rate, and copies as a share of a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.cells.groups import Group, groups, line_columns, of, task_columns
from analysis.cells.naming import label, labels, varying
from analysis.cells.rows import records
from analysis.contract.cells import SERVER
from analysis.figures.lines import Series, draw_series, in_unit, values
from analysis.figures.panels import (
    INK,
    WIDTH,
    legend_above,
    legend_right,
    log_ticks,
    name_rows,
    named,
    note_right,
    panels,
    value_axis,
)
from analysis.figures.style import COLOURS
from analysis.stats.estimate import of_row
from analysis.subjects.latency.quantities import PERCENTILES, TAIL, load_curves
from analysis.text import is_missing, seconds_as_ms

MAX_LINES = 8
MAX_BARS = 24
BARS_WIDTH, CHARACTER_WIDTH = 5.2, 0.075
"""Inches of the bars with what stands around them, and of a character of their names."""
_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


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
        points = {nines(_SHARES[p]): of_row(row, [c]) for p, c in PERCENTILES.items() if not is_missing(row[c])}
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
    ticks = {name: nines(s) for name, s in _SHARES.items() if nines(s) <= end}
    with panels(path) as (_, (axes,)):
        draw_series(axes, scaled)
        axes.set_xticks(list(ticks.values()), list(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        value_axis(axes, values(scaled))
        legend_right(axes)
        alone = f"\n{lines[0].label}" if len(lines) == 1 else ""  # which has no legend
        axes.set(title=f"{title}{left}{alone}", xlabel="percentile", ylabel=f"latency ({unit})")
    return f"{title}: p50 to p99.9 where samples are enough, {named([line.label for line in lines], n)}"


def load_lines(curves: Sequence[Group]) -> list[Series]:
    """The 99th percentile in seconds over the arrival rate, with its interval where the samples were kept.

    A curve alone has its median and 90th percentile beside it.
    """

    def line(curve: Group, name: str, columns: Sequence[str]) -> Series:
        rows = [row for row in records(curve.cells) if not is_missing(row[columns[0]])]
        device = str(curve.row["device"]) if len(curves) > 1 else ""
        return Series(label=name, group=device, kind=name.removeprefix(f"{device}, "),
                      x=[row["offered_per_s"] for row in rows], y=[of_row(row, columns) for row in rows])  # fmt: skip

    if len(curves) > 1:
        return [line(curve, curve.name, TAIL) for curve in curves]
    told = [("p99", TAIL), ("p90", ["latency_p90_s"]), ("p50", ["latency_p50_s"])]
    return [line(curves[0], *one) for one in told if curves[0].cells[one[1][0]].notna().any()]


def draw_load_curves(path: Path, task: Group) -> str | None:
    """Tail latency over arrival rate; deadlines as dotted lines, overloaded points ringed."""
    curves = load_curves(task.cells)[:MAX_LINES]
    if not curves:
        return None
    title = f"Tail latency over arrival rate{of(task.name)}"
    lines, unit = in_unit(load_lines(curves))
    scale = 1.0 if unit == "s" else 1e3
    deadlines = sorted({scale * float(v) for curve in curves for v in curve.cells["deadline_s"].dropna()})
    with panels(path) as (_, (axes,)):
        draw_series(axes, lines)
        overloaded = [(row["offered_per_s"], scale * row["latency_p99_s"]) for curve in curves
                      for row in records(curve.cells) if row["is_saturated"]]  # fmt: skip
        if overloaded:
            axes.plot(*zip(*overloaded, strict=True), linestyle="", marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor="black", markeredgewidth=1.1, zorder=5, label="overloaded")  # fmt: skip
        for deadline in deadlines:
            axes.axhline(deadline, color=INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5,
                         label=f"deadline {deadline:g} {unit}")  # fmt: skip
        rates = [x for line in lines for x in line.x]
        if max(rates) > 8 * min(rates):
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
        value_axis(axes, [*values(lines), *deadlines])
        what = "p99 latency" if len(curves) > 1 else "latency"
        axes.set(title=title, xlabel="arrival rate (requests/s)", ylabel=f"{what} from scheduled arrival ({unit})")
        legend_right(axes)
    told = named([line.label for line in lines], len(lines))
    return f"{title}: 99th percentile with 95 % intervals, deadlines as dotted lines, {told}"


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
