"""Figures of memory: peaks over the batch size with what does not fit, and the slopes that tell leaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.cells.groups import Group, groups, line_columns, of, word_columns
from analysis.cells.naming import label, labels
from analysis.cells.rows import records
from analysis.contract.cells import LEAK_BYTES_PER_STEP
from analysis.figures import panels
from analysis.figures.lines import Series, draw_series
from analysis.figures.lines import values as values_of
from analysis.figures.style import COLOURS
from analysis.stats.estimate import Figure
from analysis.subjects.memory.quantities import SLOPES, VERDICTS, peaks, slope_verdict
from analysis.text import is_missing

MAX_LINES = 8
MAX_ROWS = 30
_GIB = 2**30
_LOOKS = {"leak": (">", COLOURS[1], COLOURS[1]), "undecided": ("o", panels.GREY, "white"),
          "none": ("o", COLOURS[0], COLOURS[0])}  # fmt: skip


def peak_lines(cells: pd.DataFrame) -> list[Series]:
    """Peak memory in GiB over the batch size, of the cells of one device.

    What the allocator reserved is a line of its own beside what tensors took, told by the marker; without any the
    settings are.
    """
    has_reserved = cells["device_peak_reserved_bytes"].notna().any()
    lines = []
    for group in groups(cells, line_columns(cells)):
        ordered = group.cells.sort_values("batch_size", kind="stable")
        for column, kind in (("peak_bytes", ""), ("device_peak_reserved_bytes", ", reserved")):
            known = ordered[ordered[column].notna()].drop_duplicates("batch_size", keep="last")
            if len(known):
                told, other = (kind, group.name) if has_reserved else (group.name, "")
                y = [Figure(value=float(peak) / _GIB) for peak in known[column]]
                lines.append(
                    Series(label=group.name + kind, group=other, kind=told, x=known["batch_size"].tolist(), y=y)
                )
    return lines


def draw_peaks(path: Path, group: Group) -> str | None:
    """Peak memory of one device and task over batch size; a cross where a batch ran out, a line at all there is."""
    cells, is_oom = peaks(group.cells), group.cells["status"] == "oom"
    if cells.empty or cells["batch_size"].nunique() + is_oom.sum() < 2:
        return None
    whose = "device memory" if cells["device_peak_allocated_bytes"].notna().any() else "memory of the process"
    title = f"Peak {whose} over batch size{of(group.name)}"
    lines = peak_lines(cells)
    shown = lines[:MAX_LINES]
    capacity = cells["capacity_bytes"].max() / _GIB
    failed = group.cells[is_oom & group.cells["batch_size"].notna()]
    values = values_of(shown)
    sizes = [x for line in shown for x in line.x]
    with panels.panels(path) as (_, (axes,)):
        draw_series(axes, shown)
        if not is_missing(capacity) and (len(failed) or max(values) > capacity / 4):
            axes.axhline(capacity, color=panels.INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5,
                         label=f"total, {capacity:,.3g} GiB")  # fmt: skip
            values.append(capacity)
        if len(failed):
            sizes += failed["batch_size"].tolist()
            _draw_failed(axes, failed, max(values))
        panels.batch_axis(axes, sizes)
        panels.value_axis(axes, values)
        axes.set(title=title, xlabel="batch size", ylabel=f"peak {whose} (GiB)")
        panels.legend_right(axes)
    left = f", {panels.named([line.label for line in shown], len(lines))}"
    crosses = ", crosses where a batch ran out of memory" if is_oom.any() else ""
    return f"{title}{crosses}{left}"


def _draw_failed(axes: Axes, failed: pd.DataFrame, height: float) -> None:
    """A cross at the top for each batch size, with the settings that did not fit in words where not all failed."""
    sizes = failed.drop_duplicates("batch_size")["batch_size"]
    axes.plot(sizes, [height] * len(sizes), linestyle="", marker="X", markersize=9, color="black", zorder=5,
              label="out of memory")  # fmt: skip
    names = [c for c in word_columns(failed) if failed[c].nunique(dropna=False) > 1]
    for size, cells in failed.groupby("batch_size"):
        told = "\n".join(dict.fromkeys(labels(cells, names))) if names else ""
        axes.annotate(told, (size, height), xytext=(0, -8), textcoords="offset points", fontsize=8, color=panels.INK,
                      ha="center", va="top")  # fmt: skip


def draw_leaks(path: Path, found: Group) -> str | None:
    """Growth of host and device memory with 95 % intervals, one row a cell and memory."""
    cells = found.cells
    if (cells["leak_verdict"] == "none").all():  # a picture of zeros says no more than a sentence
        return None
    title = "Memory growth while a step is repeated"
    left = f" (the first {MAX_ROWS} rows)" if len(cells) > MAX_ROWS else ""
    names = [*word_columns(cells), *(["batch_size"] if cells["batch_size"].notna().any() else [])]
    slopes = [(f"{label(row, names)}, {kind}", [row[f"{begin}{end}_bytes_per_step"] for end in ("_low", "", "_high")])
              for row in records(cells.head(MAX_ROWS)) for kind, begin in SLOPES.items()]  # fmt: skip
    slopes = [(name, slope) for name, slope in slopes if not is_missing(slope[1])][:MAX_ROWS]
    limit = LEAK_BYTES_PER_STEP / 2**10
    with panels.panels(path, size=(panels.WIDTH, 1.5 + 0.27 * len(slopes))) as (_, (axes,)):
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.axvline(
            limit, color=panels.INK, linewidth=1.2, linestyle=(0, (1, 2)), label=f"limit, {limit:g} KiB per step"
        )
        for i, (_, slope) in enumerate(slopes):
            _draw_slope(axes, -i, slope)
        panels.name_rows(axes, [name for name, _ in slopes])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-len(slopes) + 0.4, 0.6)
        _growth_axis(axes)
        seen = {slope_verdict(low, high) for _, (low, _, high) in slopes}
        for verdict in (v for v in VERDICTS if v in seen):
            marker, colour, face = _LOOKS[verdict]
            axes.plot([], [], marker=marker, color=colour, markerfacecolor=face, linestyle="", label=verdict)
        axes.set(xlabel="memory growth (KiB per step), 95 % interval")
        panels.legend_above(axes, f"{title}{left}")
    return f"{title}: slope and 95 % interval in KiB per step, worst first{left}"


def _draw_slope(axes: Axes, y: float, slope: Sequence[float]) -> None:
    """A slope in bytes per step as a point with its interval, in the look of its verdict."""
    low, value, high = slope
    marker, colour, face = _LOOKS[slope_verdict(low, high)]
    if not is_missing(low):
        axes.plot([low / 2**10, high / 2**10], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    axes.plot(value / 2**10, y, marker=marker, color=colour, markerfacecolor=face, markersize=6)


def _growth_axis(axes: Axes) -> None:
    """Linear within 1 KiB of zero and logarithmic beyond, as slopes lie from bytes to megabytes."""
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.6)
    values = [float(x) for line in axes.get_lines() for x in line.get_xdata() if line.get_transform() == axes.transData]
    left, right = min(-1.5, 2 * min(values, default=0.0)), max(150.0, 2 * max(values, default=0.0))
    axes.set_xlim(left, right)
    powers = [10.0**i for i in range(9) if 10.0**i <= max(-left, right)]
    axes.set_xticks([t for t in (*(-p for p in powers), 0.0, *powers) if left <= t <= right])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
