"""Figures of latency: percentiles of cells, the tail over the arrival rate, and what copies take of a step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.cells.groups import Group, groups, line_columns, task_columns
from analysis.cells.naming import labels, varying
from analysis.cells.rows import records
from analysis.figures.panels import in_unit, legend_outside, plain_figure, value_axis, written_out
from analysis.figures.style import COLOURS, Line, draw_lines
from analysis.subjects.latency.quantities import PERCENTILES
from analysis.text import is_missing, seconds_as_ms

MAX_LINES = 8
MAX_BARS = 24
BARS_WIDTH, CHARACTER_WIDTH = 5.2, 0.075
"""Inches of the bars with what stands around them, and of a character of their names."""
_INK = "#444444"
_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def nines(share: float) -> float:
    """Where a percentile lies on an axis that gives every further nine the same room."""
    return -math.log10(1 - share)


def percentile_lines(cells: pd.DataFrame) -> tuple[list[Line], int]:
    """Latency over percentile, a line for each cell with two percentiles at least, at most ``MAX_LINES``.

    Of more cells those with the smallest and the largest batch of each way of doing the task are taken, of the quickest
    ways first.

    Returns:
        The lines, x by ``nines`` and y in seconds, and the number of cells there were.
    """
    known = cells[cells[list(PERCENTILES.values())].notna().sum(axis=1) > 1]
    n = len(known)
    if n > MAX_LINES:
        ways = [g.cells.sort_values("batch_size", kind="stable") for g in groups(known, line_columns(known))]
        ways.sort(key=lambda way: float(way["latency_p50_s"].min()))
        ends = [i for way in ways for i in way.index[[0, -1]]]
        known = known.loc[list(dict.fromkeys(ends))[:MAX_LINES]].sort_index()
    names = [*line_columns(cells), *varying(cells, ["batch_size", "rate_per_s"])]
    coloured = "precision" if known["device"].nunique() == 1 else "device"
    lines = []
    for row, name in zip(records(known), labels(known, names), strict=True):
        points = [(nines(_SHARES[p]), float(row[c])) for p, c in PERCENTILES.items() if not is_missing(row[c])]
        lines.append(Line(label=name, x=[x for x, _ in points], y=[y for _, y in points], group=str(row[coloured])))
    return lines, n


def draw_percentiles(path: Path, lines: Sequence[Line], *, title: str) -> None:
    """Latency over percentile, on an axis of nines."""
    scaled, unit = in_unit(lines)
    ends = {x for line in lines for x in line.x}
    ticks = {name: nines(s) for name, s in _SHARES.items() if nines(s) <= max(ends)}
    with plain_figure(path) as (_, axes):
        draw_lines(axes, scaled)
        axes.set_xticks(list(ticks.values()), list(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        value_axis(axes, [y for line in scaled for y in line.y])
        alone = f"{title}\n{lines[0].label}" if len(lines) == 1 else title  # which has no legend
        axes.set(title=alone, xlabel="percentile", ylabel=f"latency ({unit})")


def load_lines(curves: Sequence[Group]) -> list[Line]:
    """The 99th percentile in seconds over the arrival rate, with its interval where the samples were kept.

    A curve alone has its median and 90th percentile beside it.
    """

    def line(curve: Group, name: str, column: str, ends: Sequence[str] = ()) -> Line:
        cells = curve.cells[curve.cells[column].notna()]
        low, high = ([None if is_missing(v) else float(v) for v in cells[c]] for c in ends) if ends else ((), ())
        return Line(label=name, x=cells["offered_per_s"].tolist(), y=cells[column].tolist(), low=low, high=high,
                    group=str(curve.row["device"]))  # fmt: skip

    ends = ("tail_low_s", "tail_high_s")
    if len(curves) > 1:
        return [line(curve, curve.name, "latency_p99_s", ends) for curve in curves]
    told = [("p99", "latency_p99_s", ends), ("p90", "latency_p90_s", ()), ("p50", "latency_p50_s", ())]
    return [line(curves[0], *one) for one in told if curves[0].cells[one[1]].notna().any()]


def draw_load_curves(path: Path, curves: Sequence[Group], *, title: str) -> None:
    """Tail latency over arrival rate; deadlines as dotted lines, overloaded points ringed."""
    lines, unit = in_unit(load_lines(curves))
    scale = 1.0 if unit == "s" else 1e3
    deadlines = sorted({scale * float(v) for curve in curves for v in curve.cells["deadline_s"].dropna()})
    with plain_figure(path) as (_, axes):
        draw_lines(axes, lines)
        overloaded = [(row["offered_per_s"], scale * row["latency_p99_s"]) for curve in curves
                      for row in records(curve.cells) if row["is_saturated"]]  # fmt: skip
        if overloaded:
            axes.plot(*zip(*overloaded, strict=True), linestyle="", marker="o", markersize=11, markerfacecolor="none",
                      markeredgecolor="black", markeredgewidth=1.1, zorder=5, label="overloaded")  # fmt: skip
        for deadline in deadlines:
            axes.axhline(deadline, color=_INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5,
                         label=f"deadline {deadline:g} {unit}")  # fmt: skip
        _rate_axis(axes, [x for line in lines for x in line.x])
        value_axis(axes, [*(y for line in lines for y in line.y), *deadlines])
        what = "p99 latency" if len(curves) > 1 else "latency"
        axes.set(title=title, xlabel="arrival rate (requests/s)", ylabel=f"{what} from scheduled arrival ({unit})")
        if overloaded or deadlines or len(lines) > 1:
            legend_outside(axes)


def _rate_axis(axes: Axes, rates: Sequence[float]) -> None:
    """Logarithmic with plain numbers where the rates differ by more than eight times."""
    if max(rates) > 8 * min(rates):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(written_out)


def transfers_shown(cells: pd.DataFrame) -> pd.DataFrame:
    """Of more cells than bars that a figure holds the fastest of each task, device and batch size, in their order.

    Args:
        cells: Of ``transfers``.
    """
    if len(cells) <= MAX_BARS:
        return cells
    names = [*task_columns(cells), "device", "batch_size"]
    best = cells.loc[cells.groupby(names, dropna=False)["serial_step_s"].idxmin()]
    return best.sort_index().head(MAX_BARS)


def draw_transfers(path: Path, cells: pd.DataFrame, *, title: str) -> None:
    """Bars of copy in, computation and copy out as shares of the step; a mark where the overlapped step ends.

    Args:
        path: The file.
        cells: Of ``transfers_shown``.
        title: Of the figure.
    """
    shown = cells.astype({c: "float64" for c in ("overlapped_step_s", "copy_in_s", "copy_out_s")})
    names = [*line_columns(shown, without=["scenario"]), "batch_size"]
    parts = (("copy_in_s", "copy in", COLOURS[1], "////"), ("compute_s", "computation", "#dddddd", ""),
             ("copy_out_s", "copy out", COLOURS[0], "...."))  # fmt: skip
    told_cells = labels(shown, names)
    width = max(7.2, BARS_WIDTH + CHARACTER_WIDTH * max(map(len, told_cells)))
    with plain_figure(path, (width, 1.5 + 0.3 * len(shown))) as (_, axes):
        places = [-i for i in range(len(shown))]
        begins = pd.Series(0.0, index=shown.index)
        for column, name, colour, hatch in parts:
            width = 100 * shown[column] / shown["serial_step_s"]
            axes.barh(places, width, left=begins, height=0.62, color=colour, hatch=hatch, edgecolor="white",
                      linewidth=0.5, label=name)  # fmt: skip
            begins = begins + width
        overlapped = 100 * shown["overlapped_step_s"] / shown["serial_step_s"]
        if overlapped.notna().any():
            axes.plot(overlapped, places, "D", color="black", markersize=5.5, label="overlapped step")
        # The length of a step stands right of its bar, as the bars share one scale of shares.
        for place, seconds in zip(places, shown["serial_step_s"], strict=True):
            axes.annotate(f"{seconds_as_ms(seconds)} ms", (1.0, place), xycoords=("axes fraction", "data"),
                          xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5,
                          annotation_clip=False)  # fmt: skip
        axes.set_yticks(places, told_cells)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max(100.0, float(overlapped.max()) + 3 if overlapped.notna().any() else 0))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g} %"))
        axes.set(xlabel="share of a step without overlap (its length on the right)")
        axes.set_title(title, loc="left", pad=24)
        handles, told = axes.get_legend_handles_labels()
        order = sorted(range(len(told)), key=lambda i: told[i].startswith("overlapped"))
        axes.legend([handles[i] for i in order], [told[i] for i in order], loc="lower left", bbox_to_anchor=(0, 1.0),
                    ncols=4, borderaxespad=0.2, columnspacing=1.2, fontsize=9)  # fmt: skip
