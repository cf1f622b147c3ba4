"""Lines of a figure: colour and filling tell one thing, marker and dashes another, so that grey print keeps both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes

from analysis.figures.meanings import marker_size, meanings
from analysis.figures.panels import INK
from analysis.stats.estimate import Figure

_PAPER = "white"
_FILLS = ("full", "full", "left", "bottom")  # of the groups; the first's markers are filled with the paper's colour
MAX_MARKERS = 12  # more on one line run into one another
MIN_COINCIDING, MAX_COINCIDING_RATIO = 3, 1.02


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line, of which points without a value are left out."""

    label: str
    kind: str  # told by marker and dashes, such as the precision; by colour too where there is one group
    x: Sequence[float]
    y: Sequence[Figure]
    group: str = ""  # told by colour and filling, such as the device; empty where all lines are of one


def draw_series(axes: Axes, series: Sequence[Series], *, mark_every: int = 1, joined: bool = True) -> None:
    """Draw lines with their intervals; the same group and kind look the same in every panel given the same series.

    There are markers on one point in ``mark_every``. The points are not to be joined where x is no quantity. Within
    ``meanings.one_page`` they look the same in all figures of a page.
    """
    groups, looks = list(dict.fromkeys(s.group for s in series)), meanings()
    for one in series:
        g = groups.index(one.group)
        points = [(x, f.value, f) for x, f in zip(one.x, one.y, strict=True) if f.value is not None]
        marker = looks.marker(one.kind)
        colour = looks.colour(one.kind if len(groups) == 1 else one.group)
        is_open = isinstance(marker, str) and len(groups) > 1 and g % len(_FILLS) == 0
        axes.errorbar(
            [x for x, _, _ in points], [y for _, y, _ in points], yerr=_errors([f for _, _, f in points]),
            label=one.label, color=colour, linestyle=looks.dashes(one.kind) if joined else "",
            marker=marker, markevery=mark_every, markersize=marker_size(marker), fillstyle=_FILLS[g % len(_FILLS)],
            markerfacecolor=_PAPER if is_open else colour, markerfacecoloralt=_PAPER,
            capsize=2.5, elinewidth=1.0, markeredgewidth=1.2 if isinstance(marker, str) else 0.0,
            clip_on=not points,  # whole markers on an edge; unclipped, a line without points has no box to lay out
        )  # fmt: skip

    _tell_of_one_line(axes, series)


def _tell_of_one_line(axes: Axes, series: Sequence[Series]) -> None:
    """Say so where several lines cover one another, of which only the last is seen."""
    drawn = [dict(zip(one.x, one.y, strict=True)) for one in series]
    known = [{x: f.value for x, f in line.items() if f.value} for line in drawn]
    known = [line for line in known if line]
    at = {x: [line[x] for line in known if x in line] for line in known for x in line}
    is_one = all(max(found) <= MAX_COINCIDING_RATIO * min(found) for found in at.values())
    if len(known) >= MIN_COINCIDING and is_one and all(len(line) == len(at) for line in known):
        told = f"all {len(known)} lines lie within {100 * (MAX_COINCIDING_RATIO - 1):.0f} % of one another"
        axes.annotate(told, (0.01, 0.98), xycoords="axes fraction", va="top", fontsize=8.5, color=INK)


def values(series: Sequence[Series]) -> list[float]:
    """The values of all lines, those that are known."""
    return [f.value for one in series for f in one.y if f.value is not None]


def in_unit(series: Sequence[Series]) -> tuple[list[Series], str]:
    """Lines of seconds in the unit that their largest value reads best in (ms or s), and that unit."""
    scale, unit = (1.0, "s") if max(values(series)) >= 10 else (1e3, "ms")
    return [replace(one, y=[f.times(scale) for f in one.y]) for one in series], unit


def mark_every(lengths: Sequence[int]) -> int:
    """Markers on one point in so many that they stay apart on the longest of the lines."""
    return max(1, max(lengths, default=1) // MAX_MARKERS)


def _errors(figures: Sequence[Figure]) -> list[list[float]] | None:
    """Distances of the intervals' ends from the values, zero where unknown; None where all are."""
    if all(f.low is None or f.high is None for f in figures):
        return None
    lower = [max(0.0, f.value - f.low) if f.value is not None and f.low is not None else 0.0 for f in figures]
    upper = [max(0.0, f.high - f.value) if f.value is not None and f.high is not None else 0.0 for f in figures]
    return [lower, upper]
