"""Figures of several panels in the style of ``plots.py``, with one legend for all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.figures.style import Line, canvas, figure

_LABEL_SHARE = 0.065
"""Of an axis' length that a label of four digits takes."""
INK, GREY = "#222222", "#777777"
RIGHT_OF_AXES = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
"""Where a legend hides no data."""


@contextmanager
def panels(
    path: Path, n_rows: int, n_columns: int = 1, *, size: tuple[float, float], share_x: bool = True,
    share_y: bool = False,
) -> Iterator[tuple[Figure, list[Axes]]]:  # fmt: skip
    """A figure of several axes, row by row, saved at the end with the same bytes for the same content.

    Args:
        path: A PNG or SVG file.
        n_rows: Of panels.
        n_columns: Of panels.
        size: Of the whole figure, in inches.
        share_x: One scale for the panels of a column.
        share_y: One scale for the panels of a row.
    """
    with canvas(path, size) as drawn:
        grid = drawn.subplots(
            n_rows, n_columns, squeeze=False,
            sharex="col" if share_x else False, sharey="row" if share_y else False,
        )  # fmt: skip
        yield drawn, list(grid.flat)


def legend_entries(axes: Axes, last: Sequence[str]) -> tuple[list[Artist], list[str]]:
    """Handles and labels of a legend with the lines first, and then the labels named; none where there is one line."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] in last) if len(labels) > 1 else []
    return [handles[i] for i in order], [labels[i] for i in order]


def legend_beside(drawn: Figure, axes: Axes, last: Sequence[str] = (), heading: str | None = None) -> None:
    """One legend for all panels right of the figure, lines first; a legend of one panel would push the others away.

    Args:
        drawn: The figure.
        axes: The panel whose lines are told.
        last: Labels that come after all others.
        heading: What stands above them.
    """
    handles, labels = legend_entries(axes, last)
    if labels:
        drawn.legend(handles, labels, loc="outside right upper", title=heading, alignment="left")


def n_shown(shown: int, of_all: int) -> str | None:
    """A legend's heading where a figure leaves settings out, as ``12 of 32 settings``."""
    return None if shown == of_all else f"{shown} of {of_all} settings"


def written_out(value: float, _place: object = None) -> str:
    """A tick's number without exponent, ``1,000,000`` or ``0.05``; for ``set_major_formatter``."""
    return f"{value:,.9g}"


def batch_axis(axes: Axes, batches: Sequence[float]) -> None:
    """A logarithmic x axis with ticks at the batch sizes measured, as far as they have room."""
    values = sorted(set(batches))
    shown = _with_room([math.log2(v) for v in values])
    axes.set_xscale("log", base=2)
    axes.set_xticks([2**v for v in shown], [written_out(2**v) for v in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    if values and values[0] == values[-1]:
        axes.set_xlim(values[0] / 2, values[0] * 2)


def _with_room(exponents: Sequence[float]) -> list[float]:
    """The exponents whose labels do not cover one another: whole ones first, then those in between that fit."""
    if not exponents:
        return []
    room = _LABEL_SHARE * (exponents[-1] - exponents[0])
    whole = [e for e in exponents if e == round(e)]
    step = max(1, math.ceil(room))
    kept = [e for e in whole if (e - whole[0]) % step == 0] or [exponents[0]]
    for e in exponents:
        if all(abs(e - k) >= room for k in kept):
            kept.append(e)
    return sorted(set(kept))


def value_axis(axes: Axes, values: Sequence[float]) -> None:
    """A y axis for positive values: logarithmic if they span more than fourfold, else from zero."""
    known = [v for v in values if v > 0]
    if not known or max(known) <= 4 * min(known):
        # Room above is by the data's range, which from zero on can be less than half a marker.
        axes.set_ylim(0, max([axes.get_ylim()[1], *(1.06 * v for v in known)]))
        return
    axes.set_yscale("log")
    decades = max(known) / min(known)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 1000 else (1.0,)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(written_out)


@contextmanager
def plain_figure(path: Path, size: tuple[float, float] = (7.2, 4.0)) -> Iterator[tuple[Figure, Axes]]:
    """``plots.figure`` in which text from results is text: two dollar signs are no formula."""
    with mpl.rc_context({"text.parse_math": False}), figure(path, size) as (drawn, axes):
        yield drawn, axes


def legend_outside(axes: Axes) -> None:
    """A legend right of the axes, lines with intervals before all else."""
    handles, told = axes.get_legend_handles_labels()
    order = sorted(range(len(told)), key=lambda i: not isinstance(handles[i], ErrorbarContainer))
    axes.legend([handles[i] for i in order], [told[i] for i in order], **RIGHT_OF_AXES)


def in_unit(lines: Sequence[Line]) -> tuple[list[Line], str]:
    """Lines of seconds in the unit that their largest value reads best in (ms or s), and that unit."""
    largest = max(y for line in lines for y in line.y)
    scale, unit = (1.0, "s") if largest >= 10 else (1e3, "ms")
    return [
        replace(line, y=[scale * y for y in line.y], low=[None if v is None else scale * v for v in line.low],
                high=[None if v is None else scale * v for v in line.high])
        for line in lines
    ], unit  # fmt: skip
