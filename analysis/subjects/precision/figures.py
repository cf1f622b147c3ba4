"""Figures of a precision report: what a precision changes against fp32 on each device, speed against agreement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.cells.groups import Group, Task, of
from analysis.cells.rows import Row
from analysis.figures.front import Trade, draw_front
from analysis.figures.lines import Series, draw_series
from analysis.figures.lines import values as values_of
from analysis.figures.panels import GREY, WIDTH, batch_axis, legend_beside, panels
from analysis.stats.estimate import Figure, known
from analysis.subjects.precision.quantities import Pair
from analysis.text import listed

MAX_LINES = 8
"""More lines in a panel are too many to follow."""
MAX_PLACES = 3
"""More columns of panels do not fit a page."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A row of panels."""

    y_label: str
    of: Callable[[Pair], Figure]
    is_ratio: bool = True


def _softmax(row: Row) -> Figure:
    """None for no difference at all, which a logarithmic axis cannot show."""
    return Figure(value=known(row["max_softmax_diff"]) or None)


PANELS = (
    Panel(y_label="speed\n(fp32 = 1)", of=lambda pair: pair.speed),
    Panel(y_label="peak memory\n(fp32 = 1)", of=lambda pair: Figure(value=pair.memory)),
    Panel(y_label="energy per item\n(fp32 = 1)", of=lambda pair: Figure(value=pair.energy)),
    Panel(y_label="largest softmax\ndifference", of=lambda pair: _softmax(pair.row), is_ratio=False),
)


def draw_precision(path: Path, task: Task[Pair]) -> str:
    """Draw one task's measured pairs over the batch size, or over the precisions where there is one batch size."""
    pairs, title = task.members, f"Precisions against fp32{of(task.name)}"
    lines, on = ("; ".join(dict.fromkeys(p.line for p in pairs)), ", ".join(dict.fromkeys(p.place for p in pairs)))
    places = list(dict.fromkeys(pair.place for pair in pairs))[:MAX_PLACES]
    shown = [panel for panel in PANELS if any(panel.of(pair).value is not None for pair in pairs)]
    over = _Over(pairs)
    width = 3.0 + 2.6 * len(places) if len(places) > 1 else WIDTH
    with panels(path, len(shown), len(places), size=(width, 1.0 + 1.75 * len(shown)), share_y=True) as (drawn, grid):
        for i, axes in enumerate(grid):
            panel, name = shown[i // len(places)], places[i % len(places)]
            _draw_panel(axes, panel, [pair for pair in pairs if pair.place == name], over)
            if i % len(places) == 0:
                axes.set_ylabel(panel.y_label)
            if i < len(places):
                axes.set_title(f"{title}\n{name}" if i == 0 else name)
        for axes in grid[-len(places) :]:
            over.finish(axes)
        drawn.align_ylabels()
        if any(over.lines):
            legend_beside(drawn, grid[len(places) - 1])
    told = listed([panel.y_label.split("\n(")[0].replace("\n", " ") for panel in shown])
    return f"{title}: {told} of {lines} on {on}"


def draw_agreement(path: Path, task: Group) -> str | None:
    """Speed against the share of items of which the answer is the reference's."""
    cells = task.cells.assign(agreement_percent=100 * task.cells["top1_agreement_ratio"].astype(float))
    trade = Trade(
        column="agreement_percent", name="agreement", axis="same answer as the reference (%)", is_lower_better=False
    )
    return draw_front(path, replace(task, cells=cells), trade)


class _Over:
    """The x axis: batch sizes with a line for each precision, or precisions where all cells have one batch size.

    The lines' names are the same in all panels; the one line of precisions may have none.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._batches = sorted({pair.batch_size for pair in pairs})
        self._precisions = list(dict.fromkeys(pair.precision for pair in pairs))
        self.is_batch = len(self._batches) > 1
        self.lines = list(dict.fromkeys(self.line(pair) for pair in pairs))[:MAX_LINES]

    def line(self, pair: Pair) -> str:
        return pair.line if self.is_batch else pair.kind

    def x(self, pair: Pair) -> float:
        """The batch size; the precision's position, the lines side by side."""
        if self.is_batch:
            return pair.batch_size
        aside = self.lines.index(self.line(pair)) - (len(self.lines) - 1) / 2
        return self._precisions.index(pair.precision) + 0.6 * aside / max(3, len(self.lines))

    def finish(self, axes: Axes) -> None:
        if self.is_batch:
            batch_axis(axes, self._batches)
            axes.set_xlabel("batch size")
            return
        axes.set_xticks(range(len(self._precisions)), self._precisions)
        axes.set_xlim(-0.6, len(self._precisions) - 0.4)
        axes.set_xlabel(f"precision, at batch size {self._batches[0]:g}")


def _draw_panel(axes: Axes, panel: Panel, pairs: Sequence[Pair], over: _Over) -> None:
    """Draw a panel; lines that it has no pairs of are drawn empty, so that they look the same in all panels."""
    series = []
    for line in over.lines:
        own = sorted((pair for pair in pairs if over.line(pair) == line), key=over.x)
        named = line or "default settings"
        series.append(Series(label=named, kind=line, x=[over.x(p) for p in own], y=[panel.of(p) for p in own]))
    draw_series(axes, series, joined=over.is_batch)
    values = values_of(series)
    if not values:
        axes.annotate("unknown", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=GREY)
    elif panel.is_ratio:
        axes.axhline(1, color=GREY, linewidth=1.0, zorder=1)
        axes.set_ylim(0, max(1.25, axes.get_ylim()[1], 1.1 * max(values)))
    else:
        values += _draw_own_difference(axes, [pair for pair in pairs if over.line(pair) in over.lines], over)
        axes.set_yscale("log")
        axes.set_ylim(10 ** math.floor(math.log10(0.7 * min(values))), 10 ** math.ceil(math.log10(1.1 * max(values))))
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))  # the default writes formulae
        axes.yaxis.set_minor_locator(NullLocator())


def _draw_own_difference(axes: Axes, pairs: Sequence[Pair], over: _Over) -> list[float]:
    """What fp32 itself differs by from the reference; returns its values."""
    points = {over.x(pair): value for pair in pairs if (value := _softmax(pair.base).value) is not None}
    x = sorted(points)
    axes.plot(x, [points[v] for v in x], color=GREY, linewidth=1.0 if over.is_batch else 0.0, marker=".", zorder=1)
    if x:
        axes.annotate("fp32", (x[0], points[x[0]]), xytext=(0, 4), textcoords="offset points", fontsize=8.5, color=GREY)
    return list(points.values())
