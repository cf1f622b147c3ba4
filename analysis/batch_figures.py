"""What settings give and cost: throughput, memory and energy over the batch size, or setting by setting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from analysis import summaries
from analysis.cells import label
from analysis.figure_lines import MAX_LINES, WIDTH, Line, drawable, fastest_lines, item_of, limit_line
from analysis.grouping import Group, of
from analysis.limits import Limits
from analysis.panels import INK, batch_axis, legend_beside, panels, value_axis, written_out
from analysis.ratios import Figure, known
from analysis.recommend import SERVER, THROUGHPUT, speed
from analysis.series import draw_series

PANEL_HEIGHT = 2.5
MAX_LINEAR_RATIO = 10
"""Settings further apart than that are drawn on a logarithmic scale."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of the figures over batch size: how a row's value is read, and the limit that it is held against."""

    title: str
    read: Callable[[summaries.Row], Figure]
    limit: float | None = None


def draw_settings(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """Throughput, memory and energy over the batch size; bars where there is one batch size and several settings."""
    done = summaries.complete(group.cells)
    cells = drawable(done[(done["scenario"] != SERVER) & done[THROUGHPUT[0]].notna() & done["batch_size"].notna()])
    if len(cells) < 2:
        return None
    held = cells[limits.held(done.loc[cells.index])] if limits.asked else cells
    ring = "fastest within\nthe limits" if limits.asked and len(held) else "fastest"
    best = summaries.records(cells.loc[[(held if len(held) else cells)[THROUGHPUT[0]].idxmax()]])[0]
    told = label(best, summaries.setting_columns(cells))
    fastest = f"{ring.replace(chr(10), ' ')}: {told} with {speed(best).text} {item_of(cells)}/s"
    if cells["batch_size"].nunique() < 2:
        _draw_bars(path, cells, title=f"Throughput{of(group.name)}")
        return f"Throughput of {len(cells)} settings{of(group.name)}, with 95 % intervals; {fastest}"
    shown, lines = _panels(cells, item_of(cells), limits), fastest_lines(cells, "batch_size")
    with panels(path, len(shown), size=(WIDTH, PANEL_HEIGHT * len(shown) + 0.6)) as (drawn, axes):
        for panel, ax in zip(shown, axes, strict=True):
            _draw_panel(ax, lines.shown, panel)
        batch_axis(axes[-1], cells["batch_size"].tolist())
        axes[0].plot(best["batch_size"], best[THROUGHPUT[0]], linestyle="", marker="o", markersize=13,
                     markerfacecolor="none", markeredgecolor=INK, label=ring)  # fmt: skip
        legend_beside(drawn, axes[0], [ring], lines.heading)
        axes[0].set(title=f"Speed and cost over batch size{of(group.name)}")
        axes[-1].set(xlabel="batch size")
        drawn.align_ylabels(axes)
    what = ", ".join(panel.title.split(" (")[0] for panel in shown)
    return f"{what.capitalize()} over batch size{of(group.name)}, with 95 % intervals where known; {fastest}"


def _draw_panel(axes: Axes, lines: Sequence[Line], panel: Panel) -> None:
    made = [line.series("batch_size", panel.read) for line in lines]
    draw_series(axes, made)
    values = [f.value for series in made for f in series.y if f.value is not None]
    if panel.limit is not None:
        limit_line(axes, panel.limit)
        values.append(panel.limit)
    value_axis(axes, values)
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_formatter(written_out)
    axes.set(ylabel=panel.title)


def _draw_bars(path: Path, cells: pd.DataFrame, *, title: str) -> None:
    """The throughput of settings that differ in words only, fastest first, as points with intervals."""
    rows = summaries.records(cells.sort_values(THROUGHPUT[0], ascending=False, kind="stable").head(3 * MAX_LINES))
    names = [c for c in summaries.setting_columns(cells) if c != "batch_size"]
    figures = [speed(row) for row in rows]
    with panels(path, 1, size=(WIDTH, 1.1 + 0.28 * len(rows))) as (_, (axes,)):
        for y, f in enumerate(figures):
            value = math.nan if f.value is None else f.value
            ends = [[max(0.0, value - (f.low or value))], [max(0.0, (f.high or value) - value)]]
            axes.errorbar([value], [-y], xerr=ends, marker="o", color=INK, capsize=2.5)
            axes.annotate(f.text, (1.0, -y), xycoords=("axes fraction", "data"), xytext=(6, 0), va="center",
                          textcoords="offset points", fontsize=8.5, color=INK, annotation_clip=False)  # fmt: skip
        axes.set_yticks([-y for y in range(len(rows))], [label(row, names) for row in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.grid(visible=False, axis="y")
        if figures[0].value and figures[-1].value and figures[0].value > MAX_LINEAR_RATIO * figures[-1].value:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.set_xlim(0, None)
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(written_out)
        axes.set(title=f"{title} (95 % intervals)", xlabel=f"throughput ({item_of(cells)}/s)")


def _memory(row: summaries.Row) -> Figure:
    value = known(row["device_peak_allocated_bytes"])
    value = known(row["peak_rss_bytes"]) if value is None else value
    return Figure(value=None if value is None else value / 2**30)


def _panels(cells: pd.DataFrame, item: str, limits: Limits) -> list[Panel]:
    memory = None if limits.max_memory_gb is None else limits.max_memory_gb * 1e9 / 2**30
    made = [
        Panel(title=f"throughput ({item}/s)", read=speed),
        Panel(title="peak memory (GiB)", read=_memory, limit=memory),
        Panel(title="energy (J/item)", read=lambda r: Figure(value=known(r["energy_per_item_j"])),
              limit=limits.max_energy_j),
    ]  # fmt: skip
    rows = summaries.records(cells)
    sizes = [{row["batch_size"] for row in rows if panel.read(row).value is not None} for panel in made]
    return [panel for panel, of_panel in zip(made, sizes, strict=True) if len(of_panel) > 1]
