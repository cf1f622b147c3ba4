"""Figures of memory: peaks over the batch size with what does not fit, and the slopes that tell leaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.cells.groups import groups, line_columns, word_columns
from analysis.cells.naming import label, labels
from analysis.cells.rows import records
from analysis.contract.cells import BOUNDS_BATCH, LEAK_BYTES_PER_STEP
from analysis.figures.panels import batch_axis, legend_outside, plain_figure, value_axis
from analysis.figures.style import COLOURS, Line, draw_lines
from analysis.subjects.memory.quantities import SLOPES, VERDICTS, peaks, slope_verdict
from analysis.text import is_missing

MAX_LINES = 8
MAX_ROWS = 30
_INK = "#444444"
_GIB = 2**30
_LOOKS = {"leak": (">", COLOURS[1], COLOURS[1]), "undecided": ("o", "#777777", "white"),
          "none": ("o", COLOURS[0], COLOURS[0])}  # fmt: skip


def peak_lines(cells: pd.DataFrame) -> list[Line]:
    """Peak memory in GiB over the batch size, of the cells of one device.

    What the allocator reserved is a line of its own beside what tensors took.

    Args:
        cells: Of ``peaks``.
    """
    names = line_columns(cells)
    lines = []
    for group in groups(cells, names):
        told = label(group.row, names)
        ordered = group.cells.sort_values("batch_size", kind="stable")
        for column, kind in (("peak_bytes", ""), ("device_peak_reserved_bytes", ", reserved")):
            known = ordered[ordered[column].notna()].drop_duplicates("batch_size", keep="last")
            if len(known):
                lines.append(Line(label=told + kind, x=known["batch_size"].tolist(),
                                  y=(known[column].astype("float64") / _GIB).tolist(), group=told))  # fmt: skip
    return lines


def draw_peaks(path: Path, frame: pd.DataFrame, *, title: str, y_label: str) -> int:
    """Peak memory over batch size; a cross where a batch ended out of memory, a line at what there is.

    Args:
        path: The file.
        frame: All cells of one device and task.
        title: Of the figure.
        y_label: Of the axis.

    Returns:
        How many lines there were; at most ``MAX_LINES`` are drawn.
    """
    cells = peaks(frame)
    lines = peak_lines(cells)
    shown = lines[:MAX_LINES]
    capacity = cells["capacity_bytes"].max() / _GIB
    failed = frame[frame["status"].isin(BOUNDS_BATCH) & frame["batch_size"].notna()]
    values = [y for line in shown for y in line.y]
    sizes = [x for line in shown for x in line.x]
    with plain_figure(path) as (_, axes):
        draw_lines(axes, shown)
        if not is_missing(capacity) and (len(failed) or max(values) > capacity / 4):
            axes.axhline(capacity, color=_INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5,
                         label=f"all there is, {capacity:,.3g} GiB")  # fmt: skip
            values.append(capacity)
        if len(failed):
            sizes += failed["batch_size"].tolist()
            _draw_failed(axes, failed, max(values))
        batch_axis(axes, sizes)
        value_axis(axes, values)
        axes.set(title=title, xlabel="batch size", ylabel=y_label)
        if len(axes.get_legend_handles_labels()[1]) > 1:
            legend_outside(axes)
    return len(lines)


def _draw_failed(axes: Axes, failed: pd.DataFrame, height: float) -> None:
    """A cross at the top for each batch size, with the settings that did not fit in words where not all failed."""
    sizes = failed.drop_duplicates("batch_size")["batch_size"]
    axes.plot(sizes, [height] * len(sizes), linestyle="", marker="X", markersize=9, color="black", zorder=5,
              label="out of memory")  # fmt: skip
    names = [c for c in word_columns(failed) if failed[c].nunique(dropna=False) > 1]
    for size, cells in failed.groupby("batch_size"):
        told = "\n".join(dict.fromkeys(labels(cells, names))) if names else ""
        axes.annotate(told, (size, height), xytext=(0, -8), textcoords="offset points", fontsize=8, color=_INK,
                      ha="center", va="top")  # fmt: skip


def draw_leaks(path: Path, cells: pd.DataFrame, names: Sequence[str], *, title: str) -> None:
    """Growth of host and device memory with 95 % intervals, one row a cell and memory.

    Args:
        path: The file.
        cells: Of ``memory.leaks``; the first ``MAX_ROWS`` are drawn.
        names: Columns that name a cell.
        title: Of the figure.
    """
    rows = [(row, kind) for row in records(cells.head(MAX_ROWS)) for kind in SLOPES
            if not is_missing(row[f"{SLOPES[kind]}_bytes_per_step"])][:MAX_ROWS]  # fmt: skip
    limit = LEAK_BYTES_PER_STEP / 2**10
    with plain_figure(path, (7.2, 1.5 + 0.27 * len(rows))) as (_, axes):
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.axvline(limit, color=_INK, linewidth=1.2, linestyle=(0, (1, 2)), label=f"limit, {limit:g} KiB per step")
        for i, (row, kind) in enumerate(rows):
            low, value, high = (row[f"{SLOPES[kind]}{end}_bytes_per_step"] for end in ("_low", "", "_high"))
            marker, colour, face = _LOOKS[slope_verdict(low, high)]
            if not is_missing(low):
                axes.plot([low / 2**10, high / 2**10], [-i, -i], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.plot(value / 2**10, -i, marker=marker, color=colour, markerfacecolor=face, markersize=6)
        axes.set_yticks([-i for i in range(len(rows))], [f"{label(row, names)}, {kind}" for row, kind in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        _growth_axis(axes)
        seen = {
            slope_verdict(*(row[f"{SLOPES[k]}_{end}_bytes_per_step"] for end in ("low", "high"))) for row, k in rows
        }
        for verdict in (v for v in VERDICTS if v in seen):
            marker, colour, face = _LOOKS[verdict]
            axes.plot([], [], marker=marker, color=colour, markerfacecolor=face, linestyle="", label=verdict)
        axes.set(xlabel="growth of memory (KiB per step), 95 % interval")
        axes.set_title(title, loc="left", pad=24)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2, fontsize=9)


def _growth_axis(axes: Axes) -> None:
    """Linear within 1 KiB of zero and logarithmic beyond, as slopes lie from bytes to megabytes."""
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.6)
    values = [float(x) for line in axes.get_lines() for x in line.get_xdata() if line.get_transform() == axes.transData]
    axes.set_xlim(min(-1.5, 2 * min(values, default=0.0)), max(150.0, 2 * max(values, default=0.0)))
    far = max(abs(v) for v in axes.get_xlim())
    powers = [10.0**i for i in range(9) if 10.0**i <= far]
    left, right = axes.get_xlim()
    axes.set_xticks([t for t in (*(-p for p in powers), 0.0, *powers) if left <= t <= right])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
