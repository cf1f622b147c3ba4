"""What the figures of the reports on one subject share: text taken literally, legends beside the data, units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from analysis.panels import RIGHT_OF_AXES
from analysis.plots import Line, figure


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
