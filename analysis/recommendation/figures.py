"""Which figures a sweep's report has: what settings give and cost, load, accuracy over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.cells import usable
from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import Group, file_names, groups, of, task_columns
from analysis.cells.identity import narrowed
from analysis.cells.naming import label, varying
from analysis.cells.ranking import speed
from analysis.cells.rows import Row, complete, curves, items_of, memory_bytes, records, setting_columns
from analysis.contract.cells import SERVER
from analysis.contract.choice import CHOSEN_BY
from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES
from analysis.figures import panels
from analysis.figures.lines import Series, draw_series, mark_every, values
from analysis.page.sections import Drawings
from analysis.recommendation.figure_lines import MAX_LINES, Line, colour_columns, fastest_lines, limit_line
from analysis.recommendation.limits import within
from analysis.stats.estimate import Figure
from analysis.text import is_missing

PANEL_HEIGHT = 2.5
MAX_LINEAR_RATIO = 10
"""Settings further apart than that are drawn on a logarithmic scale."""
MAX_TASKS = 6
"""Tasks with figures on the page; the tables have all."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of the figures over batch size: the column that it shows (of an interval three), and the limit on it."""

    title: str
    columns: Sequence[str]
    limit: float | None = None


def draw_settings(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """Throughput, memory and energy over the batch size; bars where there is one batch size and several settings."""
    done = complete(group.cells)
    cells = done[(done["scenario"] != SERVER) & done[THROUGHPUT[0]].notna() & done["batch_size"].notna()]
    if len(cells) < 2:
        return None
    held = within(limits, cells)
    ring = "recommended\nwithin the limits" if limits.asked and len(held) else "recommended"
    best = usable.best(held if len(held) else cells)
    assert best is not None, "every cell drawn has a throughput"
    told = label(best, setting_columns(cells))
    fastest = f"{ring.replace(chr(10), ' ')}: {told} with {speed(best).text} {items_of(cells)}/s"
    if cells["batch_size"].nunique() < 2:
        _draw_bars(path, cells, title=f"Throughput{of(group.name)}")
        return f"Throughput of {len(cells)} settings{of(group.name)}, with 95 % intervals; {fastest}"
    cells, shown = _panels(cells, limits)
    lines, n_lines = fastest_lines(cells, "batch_size")
    with panels.panels(path, len(shown), size=(panels.WIDTH, PANEL_HEIGHT * len(shown) + 0.6)) as (drawn, axes):
        for panel, ax in zip(shown, axes, strict=True):
            _draw_panel(ax, lines, panel)
        panels.batch_axis(axes[-1], cells["batch_size"].tolist())
        axes[0].plot(best["batch_size"], best[THROUGHPUT[0]], linestyle="", marker="o", markersize=13,
                     markerfacecolor="none", markeredgecolor=panels.INK, label=ring)  # fmt: skip
        panels.legend_beside(drawn, axes[0], panels.n_shown(len(lines), n_lines))
        axes[0].set(title=f"Speed and cost over batch size{of(group.name)}")
        axes[-1].set(xlabel="batch size")
        drawn.align_ylabels(axes)
    told = panels.named([line.label for line in lines], n_lines)
    what = ", ".join(panel.title.split(" (")[0] for panel in shown)
    return f"{what.capitalize()} over batch size{of(group.name)}, with 95 % intervals where known, {told}; {fastest}"


def _draw_panel(axes: Axes, lines: Sequence[Line], panel: Panel) -> None:
    made = [line.series("batch_size", panel.columns) for line in lines]
    draw_series(axes, made)
    if panel.limit is not None:
        limit_line(axes, panel.limit)
    panels.value_axis(axes, [*values(made), *([] if panel.limit is None else [panel.limit])])
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_formatter(panels.written_out)
    axes.set(ylabel=panel.title)


def _draw_bars(path: Path, cells: pd.DataFrame, *, title: str) -> None:
    """The throughput of settings that differ in words only, fastest first, as points with intervals."""
    rows = records(cells.sort_values(THROUGHPUT[0], ascending=False, kind="stable").head(3 * MAX_LINES))
    names = [c for c in setting_columns(cells) if c != "batch_size"]
    speeds = [float(row[THROUGHPUT[0]]) for row in rows]
    with panels.panels(path, 1, size=(panels.WIDTH, 1.1 + 0.28 * len(rows))) as (_, (axes,)):
        for y, (row, value) in enumerate(zip(rows, speeds, strict=True)):
            f = speed(row)
            ends = [[max(0.0, value - (f.low or value))], [max(0.0, (f.high or value) - value)]]
            axes.errorbar([value], [-y], xerr=ends, marker="o", color=panels.INK, capsize=2.5)
            panels.note_right(axes, -y, f.text)
        panels.name_rows(axes, [label(row, names) for row in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        if 0 < MAX_LINEAR_RATIO * speeds[-1] < speeds[0]:
            axes.set_xscale("log")
            panels.log_ticks(axes.xaxis)
        else:
            # Room right of the fastest is by the data's range, which can be less than half a marker.
            axes.set_xlim(0, max(axes.get_xlim()[1], 1.03 * speeds[0]))
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(panels.written_out)
        known = " (95 % intervals where known)" if any(speed(row).low is not None for row in rows) else ""
        axes.set(title=f"{title}{known}", xlabel=f"throughput ({items_of(cells)}/s)")


def _panels(cells: pd.DataFrame, limits: Limits) -> tuple[pd.DataFrame, list[Panel]]:
    """The cells with the columns that panels show, and those panels that have values at two batch sizes."""
    memory, peak_bytes, reserved = None, memory_bytes(cells), ""
    if limits.max_memory_gb is not None:  # drawn is what the limit judges
        memory = limits.max_memory_gb * 1e9 / 2**30
        judged = [OBJECTIVES["memory"].of_row(row) for row in records(cells)]
        peak_bytes = pd.Series(judged, index=cells.index, dtype="float64")
        reserved = " reserved" if cells["device_peak_reserved_bytes"].notna().any() else ""
    made = [
        Panel(title=f"throughput ({items_of(cells)}/s)", columns=THROUGHPUT),
        Panel(title=f"peak memory{reserved} (GiB)", columns=["peak_gib"], limit=memory),
        Panel(title="energy (J/item)", columns=["energy_per_item_j"], limit=limits.max_energy_j),
    ]
    cells = cells.assign(peak_gib=peak_bytes / 2**30)
    return cells, [p for p in made if cells.loc[cells[p.columns[0]].notna(), "batch_size"].nunique() > 1]


def draw_load(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """The 99th percentile over the rate of arrivals."""
    done = complete(group.cells)
    cells = done[(done["scenario"] == SERVER) & done["latency_p99_s"].notna() & done["rate_per_s"].notna()]
    if cells["rate_per_s"].nunique() < 2:
        return None
    lines, n_lines = fastest_lines(cells.assign(p99_ms=1e3 * cells["latency_p99_s"]), "rate_per_s")
    made = [line.series("rate_per_s", ["p99_ms"]) for line in lines]
    deadlines = cells["deadline_s"].dropna().unique()
    limit = limits.max_latency_ms or (1e3 * float(deadlines[0]) if len(deadlines) == 1 else None)
    with panels.panels(path, 1, size=(panels.WIDTH, 3.6)) as (drawn, (axes,)):
        draw_series(axes, made)
        if limit is not None:
            limit_line(axes, limit, f"limit {limit:g} ms")
        panels.value_axis(axes, [*values(made), *([limit] if limit else [])])
        axes.set_xlim(0, None)
        panels.legend_beside(drawn, axes, panels.n_shown(len(lines), n_lines))
        axes.set(title=f"99th percentile under load{of(group.name)}", xlabel="arrivals (requests/s)", ylabel="p99 (ms)")
    lines_told = panels.named([line.label for line in lines], n_lines)
    return f"99th percentile of the latency over the rate of arrivals{of(group.name)}, {lines_told}"


def draw_accuracy(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """Held-out accuracy over the time trained; None where nothing was trained."""
    done = complete(group.cells)
    found = curves(done, rounds)
    if not found:
        return None
    ranked = sorted(range(len(found)), key=lambda i: -float(found[i][1]["accuracy"].max()))[:MAX_LINES]
    shown = [found[i] for i in sorted(ranked)]
    targets = done["target_accuracy"].dropna().unique()
    target = float(targets[0]) if limits.min_accuracy is None and len(targets) == 1 else limits.min_accuracy
    with panels.panels(path, 1, size=(panels.WIDTH, 4.0)) as (drawn, (axes,)):
        draw_series(axes, _accuracies(done, shown), mark_every=mark_every([len(curve) for _, curve in shown]))
        if target is not None:
            limit_line(axes, 100 * target, f"target {100 * target:g} %")
        axes.set_ylim(0, 103)
        axes.set_xlim(0, None)
        panels.legend_beside(drawn, axes)
        axes.set(
            title=f"Held-out accuracy over training time{of(group.name)}",
            xlabel="training time (s), without evaluation", ylabel="held-out accuracy (%)",
        )  # fmt: skip
    lines_told = panels.named([one.label for one in _accuracies(done, shown)], len(found))
    best = max((float(curve["accuracy"].max()) for row, curve in shown if is_missing(row["learned"])), default=None)
    told = "none learned" if best is None else f"they reach up to {100 * best:.1f} %"
    return f"Held-out accuracy over training time{of(group.name)}, {lines_told}; {told}"


def _accuracies(done: pd.DataFrame, shown: Sequence[tuple[Row, pd.DataFrame]]) -> list[Series]:
    """Curves with the device's colour, on a single device the precision's; the other settings give the marker."""
    names = [c for c in setting_columns(done) if c == "device" or varying(done, [c])]
    where = colour_columns(done, names)
    rest = [c for c in names if c not in where]
    return [
        Series(
            label=label(row, names), group=label(row, where), kind=label(row, rest), x=curve["elapsed_s"].tolist(),
            y=[Figure(value=100 * float(accuracy)) for accuracy in curve["accuracy"]],
        )
        for row, curve in shown
    ]  # fmt: skip


KINDS = {"settings": draw_settings, "load": draw_load, "accuracy": draw_accuracy}
"""How a figure's file name begins, and what draws a task's cells and returns the alternative text, None for nothing."""
COLUMNS = (*THROUGHPUT, *CHOSEN_BY, "target_accuracy")
"""What figures read besides the columns that name a cell."""


def draw_all(frame: pd.DataFrame, rounds: pd.DataFrame, folder: Path, limits: Limits) -> tuple[Drawings, int]:
    """Draw what the sweep has the numbers for, task by task; and how many tasks have none because of ``MAX_TASKS``."""
    found = [g for g in groups(narrowed(frame, COLUMNS), task_columns(frame)) if len(complete(g.cells))]
    shown = found[:MAX_TASKS]
    names = {kind: file_names(kind, [group.name for group in shown]) for kind in KINDS}
    drawn = []
    for i, group in enumerate(shown):
        for kind, draw in KINDS.items():
            path = folder / names[kind][i]
            text = draw(path, group, rounds, limits)
            drawn += [] if text is None else [(path, text)]
    return Drawings(figures=drawn), len(found) - len(shown)
