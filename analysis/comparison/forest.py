"""Forest plot: ratios with their intervals, one row a cell, the geometric mean below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from analysis.comparison.comparison import most_telling
from analysis.figures.panels import GREY, INK, name_rows, note_right, panels, ratio_axis
from analysis.figures.style import COLOURS
from analysis.stats.estimate import Figure, known
from analysis.stats.told_apart import MIN_CHANGE

MAX_ROWS = 30
"""More rows do not fit a page; those furthest from 1 are kept, and what is certain before what is not."""
_LABEL_CHARACTERS = 46
"""Longer labels take a second line."""
_AXES_INCHES, _FIGURES_INCHES, _CHARACTER_INCHES = 3.6, 1.65, 0.079
"""Widths of the axes, of the figures right of them, and of a label's character."""
# Marker, colour and filling all differ, so that the verdict survives a grey printer.
_LOOKS = {
    "faster": (">", COLOURS[0], COLOURS[0]),
    "slower": ("<", COLOURS[1], COLOURS[1]),
    "same": ("o", GREY, GREY),
    "unclear": ("o", GREY, "white"),
    "one run": ("s", GREY, "white"),
    "disturbed": ("x", GREY, GREY),
}


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One row: a ratio and its interval (NaN where unknown), and the verdict that decides its look."""

    label: str
    ratio: float
    low: float
    high: float
    verdict: str

    @property
    def told(self) -> str:
        """``1.42 (1.40 to 1.44)``; without interval where it is unknown."""
        return Figure(value=self.ratio, low=known(self.low), high=known(self.high)).full_text


def draw_forest(
    path: Path, rows: Sequence[Ratio], mean: Ratio | None, title: str, min_change: float = MIN_CHANGE
) -> None:
    """Draw the most telling rows from the top, and the geometric mean as a diamond under a line."""
    shown = [rows[i] for i in most_telling([row.verdict for row in rows], [row.ratio for row in rows], MAX_ROWS)]
    every = [*shown, *([mean] if mean else [])]
    labels = [_in_lines(row.label) for row in every]
    lines = [line for label in labels for line in label.split("\n")]
    row_inches = 0.27 + 0.13 * max(label.count("\n") for label in labels)
    width = _AXES_INCHES + _FIGURES_INCHES + _CHARACTER_INCHES * max(map(len, lines))
    height = 1.35 + row_inches * (len(shown) + (1.4 if mean else 0))
    with panels(path, size=(width, height)) as (_, (axes,)):
        axes.axvspan(1 / (1 + min_change), 1 + min_change, color="#eeeeee", zorder=0, linewidth=0)
        axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
        for y, row in enumerate(shown):
            _draw_row(axes, -y, row)
        positions: list[float] = [-y for y in range(len(shown))]
        if mean:
            at = -len(shown) - 0.4
            axes.axhline(at + 0.7, color="#aaaaaa", linewidth=0.6)
            _draw_mean(axes, at, mean)
            positions.append(at)
        name_rows(axes, labels, positions)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(positions[-1] - 0.6, 0.6)
        _scale(axes, every, min_change)
        axes.set(xlabel="ratio of speeds, 95 % interval (over 1 is faster)")
        axes.set_title(title, loc="left", x=0, pad=22)
        _legend(axes, [row.verdict for row in shown], min_change)


def _in_lines(label: str) -> str:
    """A long label on several lines, each setting whole: no ``compile`` on one line and its mode on the next."""
    whole = label.replace(" ", "\u00a0").replace(",\u00a0", ", ")
    return textwrap.fill(whole, _LABEL_CHARACTERS, break_on_hyphens=False).replace("\u00a0", " ")


def _draw_row(axes: Axes, y: float, row: Ratio) -> None:
    marker, colour, face = _LOOKS[row.verdict]
    if not math.isnan(row.low):
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=1.4, zorder=2, solid_capstyle="butt")
    axes.plot(row.ratio, y, marker=marker, color=colour, markerfacecolor=face, markersize=6, zorder=3)
    note_right(axes, y, row.told, 8)


def _draw_mean(axes: Axes, y: float, mean: Ratio) -> None:
    if math.isnan(mean.low):
        axes.plot(mean.ratio, y, marker="D", color=INK, markersize=6)
    else:
        corners = [mean.low, mean.ratio, mean.high, mean.ratio], [y, y + 0.25, y, y - 0.25]
        axes.fill(*corners, color=INK, zorder=3)
        axes.plot(mean.ratio, y, marker="d", color=INK, markersize=5, zorder=3)  # seen however narrow the interval
    note_right(axes, y, mean.told, 8)


def _scale(axes: Axes, rows: Sequence[Ratio], min_change: float = MIN_CHANGE) -> None:
    ends = [v for row in rows for v in (row.ratio, row.low, row.high) if not math.isnan(v)]
    ratio_axis(axes, min([*ends, 1 / (1 + min_change)]), max([*ends, 1 + min_change]))


def _legend(axes: Axes, verdicts: Sequence[str], min_change: float = MIN_CHANGE) -> None:
    for verdict in (name for name in _LOOKS if name in verdicts):
        marker, colour, face = _LOOKS[verdict]
        told = f"same within {100 * min_change:g} %" if verdict == "same" else verdict
        axes.plot([], [], marker=marker, color=colour, markerfacecolor=face, linestyle="", label=told)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.1, handletextpad=0.2, columnspacing=1.2,
        fontsize=8.5,
    )  # fmt: skip
