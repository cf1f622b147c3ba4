"""Roofline figures: a panel for each precision of a device, both axes logarithmic, the ridge marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.cells.groups import Group, groups, line_columns, machine_columns, of
from analysis.cells.naming import label
from analysis.cells.rows import Row, records
from analysis.figures.meanings import marker_size, meanings
from analysis.figures.panels import INK, named, panels
from analysis.figures.style import MARKERS, lay_out
from analysis.subjects.roofline.quantities import Roof, roofs
from analysis.text import significant

MAX_PANELS = 6
_SOFT = "#555555"
_SCALES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_FAR = 100.0
Limits = tuple[tuple[float, float], tuple[float, float]]
Slanted = tuple[Annotation, Axes]


def engineering(value: float | None, unit: str) -> str:
    """Three digits and a prefix: ``425 GFLOP/s``."""
    if value is None:
        return "unknown"
    scale, prefix = next(((s, p) for s, p in _SCALES if abs(value) >= s), (1.0, ""))
    return f"{significant(value / scale)} {prefix}{unit}"


def _tick(value: float, _: object = None) -> str:
    scale, prefix = next(((s, p) for s, p in _SCALES if value >= s * 0.999), (1.0, ""))
    return f"{value / scale:.4g} {prefix}".strip()


def draw_rooflines(path: Path, device: Group) -> str:
    """Draw the roofs of one device, one panel each with axes in common, and each cell of ``placed`` where it lies.

    Shades tell the batch size, darker is larger; markers tell all else that differs.
    """
    found, title = roofs(device.cells), f"Roofline{of(device.name)}"
    shown = found[:MAX_PANELS]
    n_columns = min(2, len(shown))
    n_rows = math.ceil(len(shown) / n_columns)
    looks, limits = Looks(shown), _limits(shown)
    handles = looks.legend()
    n_told = 5 if n_columns > 1 and not looks.has_long_names else 2
    size = (4.2 * n_columns + 0.4, 0.8 + 3.3 * n_rows + 0.2 * math.ceil(len(handles) / n_told))
    with panels(path, n_rows, n_columns, size=size, share_y=True) as (drawn, grid):
        slanted = []
        for i, (panel, roof) in enumerate(zip(grid, shown, strict=False)):
            slanted += _draw_roof(panel, roof, limits)
            ordered = roof.group.cells.sort_values("batch_size", kind="stable")
            for alike in groups(ordered, [*looks.names, "batch_size"]):
                x, y = alike.cells["intensity_flop_per_byte"], alike.cells["achieved_flop_per_s"]
                panel.plot(x, y, linestyle="", zorder=3, **looks.of(alike.row))
            if i + n_columns >= len(shown):
                panel.tick_params(labelbottom=True)
                panel.set_xlabel("arithmetic intensity (FLOP/B)")
            if i % n_columns == 0:
                panel.set_ylabel("achieved (FLOP/s)")
        for panel in grid[len(shown) :]:
            panel.set_visible(False)
        drawn.suptitle(title, x=0.01, ha="left", fontsize=11)
        drawn.legend(handles=handles, loc="outside lower left", ncols=n_told, fontsize=9, columnspacing=1.4)
        _slant(slanted)
    tops = "; ".join(_ceilings(roof) for roof in shown)
    left = f", the first {MAX_PANELS} of {len(found)} precisions" if len(found) > MAX_PANELS else ""
    settings = f", {named(looks.names_told, len(looks.names_told))}" if looks.names_told else ""
    return f"{title}: achieved FLOP/s over arithmetic intensity, below the measured ceilings ({tops}){left}{settings}"


def _ceilings(roof: Roof) -> str:
    """A roof's ceilings in words, for an alternative text, which the template escapes."""
    flops, moved = engineering(roof.flop_per_s, "FLOP/s"), engineering(roof.bytes_per_s, "B/s")
    return f"{roof.group.row['precision']}: {flops}, {moved}"


class Looks:
    """Which marker and shade a cell has, the same in all panels of a figure."""

    def __init__(self, roofs: Sequence[Roof]) -> None:
        cells = pd.concat([roof.group.cells for roof in roofs])
        self.names = line_columns(cells, without=[*machine_columns(cells), "device", "precision"])
        settings = list(dict.fromkeys(label(row, self.names) for row in records(cells))) if self.names else []
        looks = meanings()
        self._markers = {name: looks.marker(name) for name in settings}
        self.names_told = settings
        self.has_long_names = any(len(name) > 12 for name in settings)  # which need much room in the legend
        self._sizes = sorted(float(v) for v in cells["batch_size"].dropna().unique())

    def of(self, row: Row) -> dict[str, Any]:
        """Keywords of ``plot`` for a cell."""
        marker = self._markers[label(row, self.names)] if self.names else MARKERS[0]
        return {"marker": marker, **self._shade(row["batch_size"]), **_edge(marker)}

    def _shade(self, batch_size: float | None) -> dict[str, Any]:
        """Light to dark over the batch sizes, which stays an order in grey; a dark edge keeps the light ones seen."""
        at = self._sizes.index(batch_size) / max(1, len(self._sizes) - 1) if batch_size in self._sizes else 0.0
        colour = mpl.colormaps["viridis_r"](0.12 + 0.88 * at)
        return {"markerfacecolor": colour, "markeredgecolor": INK, "markeredgewidth": 0.6, "markersize": 7.5}

    def legend(self) -> list[Line2D]:
        """All settings by marker, then batch sizes by shade, at most seven: the smallest and the largest kept."""
        plain = {"linestyle": "", "markersize": 7.5}
        handles = [
            Line2D(
                [],
                [],
                marker=marker,
                markerfacecolor="white" if isinstance(marker, str) else INK,
                markeredgecolor=INK,
                label=name,
                **{**plain, **_edge(marker)},
            )
            for name, marker in self._markers.items()
        ]
        step = math.ceil(len(self._sizes) / 7)
        kept = [*self._sizes[:-1:step], *self._sizes[-1:]]
        # Blank entries fill up the first of two columns, so that the batch sizes stand in the second alone.
        n_blank = max(0, len(kept) - len(handles)) if self.has_long_names else 0
        handles += [Line2D([], [], linestyle="", label=" ") for _ in range(n_blank)]
        return handles + [
            Line2D([], [], marker="o", label=f"batch {size:,.0f}", **{**plain, **self._shade(size)}) for size in kept
        ]


def _edge(marker: str | Outline) -> dict[str, Any]:
    """A number has a thinner edge than a sign, or none could be read."""
    return {} if isinstance(marker, str) else {"markeredgewidth": 0.25, "markersize": marker_size(marker)}


def _limits(roofs: Sequence[Roof]) -> Limits:
    """Room for all cells, and for the ridges unless they lie more than a hundred times farther out."""
    x = [float(v) for roof in roofs for v in roof.group.cells["intensity_flop_per_byte"]]
    y = [float(v) for roof in roofs for v in roof.group.cells["achieved_flop_per_s"]]
    low, high = min(x) / 4, max(x) * 4
    near = [r for roof in roofs if (r := roof.ridge_flop_per_byte) is not None and low / _FAR < r < high * _FAR]
    low, high = min([low, *(r / 4 for r in near)]), max([high, *(6 * r for r in near)])
    tops = [top for roof in roofs if not math.isnan(top := roof.attainable(high))]
    return (low, high), (min(y) / 4, max([*y, *tops]) * 3)


def _draw_roof(axes: Axes, roof: Roof, limits: Limits) -> list[Slanted]:
    """The two ceilings and the ridge between them, what no step can reach shaded; returns the text to be slanted."""
    (low, high), (bottom, top) = limits
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top))
    axes.set_title(str(roof.group.row["precision"]), loc="left", fontsize=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, numticks=10))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(_tick))
    ridge = roof.ridge_flop_per_byte
    grid = np.unique([low, high, *([ridge] if ridge is not None and low < ridge < high else [])])
    heights = [roof.attainable(x) for x in grid]
    if math.isnan(heights[0]):
        return []
    axes.fill_between(grid, heights, top, color="#f0f0f0", linewidth=0, zorder=0)
    axes.plot(grid, heights, color=INK, linewidth=1.6, zorder=2)
    if roof.flop_per_s is not None and roof.attainable(high) == roof.flop_per_s:
        axes.annotate(engineering(roof.flop_per_s, "FLOP/s"), (high, roof.flop_per_s), xytext=(-4, 4), fontsize=8.5,
                      textcoords="offset points", ha="right", color=INK)  # fmt: skip
    if ridge is not None and low < ridge < high:
        axes.plot([ridge, ridge], [bottom, roof.attainable(ridge)], color=_SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
        is_far = math.log(ridge / low) > 0.6 * math.log(high / low)
        axes.annotate(f"ridge {significant(ridge)}", (ridge, bottom), xytext=(-4 if is_far else 4, 4), fontsize=8.5,
                      textcoords="offset points", color=_SOFT, ha="right" if is_far else "left")  # fmt: skip
    return _tell_bandwidth(axes, roof, limits)


def _tell_bandwidth(axes: Axes, roof: Roof, limits: Limits) -> list[Slanted]:
    """The bandwidth along the slanted roof, where it is seen."""
    if roof.bytes_per_s is None:
        return []
    (low, high), (bottom, top) = limits
    begin = max(low, bottom / roof.bytes_per_s)
    end = min(high, roof.ridge_flop_per_byte or high, top / roof.bytes_per_s)
    if end <= begin:
        return []
    x = math.exp(0.5 * (math.log(begin) + math.log(end)))
    text = axes.annotate(
        engineering(roof.bytes_per_s, "B/s"), (x, roof.bytes_per_s * x), xytext=(-3, 3), textcoords="offset points",
        ha="center", va="bottom", rotation_mode="anchor", fontsize=8.5, color=INK,
    )  # fmt: skip
    return [(text, axes)]


def _slant(texts: Sequence[Slanted]) -> None:
    """Turn texts as a line of slope one decade a decade is drawn, which the finished layout alone decides."""
    for _, axes in texts[:1]:
        lay_out(axes.get_figure(root=True))
    for text, axes in texts:
        x, y = text.xy
        (x0, y0), (x1, y1) = (axes.transData.transform((x * f, y * f)) for f in (1.0, 2.0))
        text.set_rotation(math.degrees(math.atan2(y1 - y0, x1 - x0)))
