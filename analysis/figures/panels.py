"""How a figure is made and saved, with one panel or several; its axes and its legend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from analysis.figures.meanings import meanings
from analysis.figures.style import canvas

_LABEL_SHARE = 0.065  # of an axis' length that a label of four digits takes
INK, GREY = "#222222", "#777777"
WIDTH, HEIGHT = 7.2, 4.0  # of a figure of one panel, in inches
_NARROW, _WIDE = 4, 100
"""Ratios of an axis' ends up to which every tick is at a round number, and from which only decades have one."""


@contextmanager
def panels(
    path: Path, n_rows: int = 1, n_columns: int = 1, *, size: tuple[float, float] = (WIDTH, HEIGHT),
    share_x: bool = True, share_y: bool = False,
) -> Iterator[tuple[Figure, list[Axes]]]:  # fmt: skip
    """A figure of several axes, row by row, saved at the end as PNG or SVG, the same bytes for the same content.

    The size is that of the whole figure, in inches. Panels of a column can share x, panels of a row y.
    """
    with canvas(path, size) as drawn:
        shared = {"sharex": "col" if share_x else False, "sharey": "row" if share_y else False}
        yield drawn, list(drawn.subplots(n_rows, n_columns, squeeze=False, **shared).flat)
    meanings().drawn[path.resolve()] = drawn


def legend_entries(grid: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Handles and labels of the panels, each label once: of a panel lines with intervals and bars before all marks."""
    found: dict[str, Artist] = {}
    for axes in grid:
        entries = list(zip(*axes.get_legend_handles_labels(), strict=True))
        for handle, label in sorted(entries, key=lambda entry: not isinstance(entry[0], Container)):
            found[label] = handle
    return list(found.values()), list(found)


def legend_right(axes: Axes) -> None:
    """A legend right of the one panel; none where there is one line."""
    handles, labels = legend_entries([axes])
    if len(labels) > 1:
        axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def legend_beside(drawn: Figure, axes: Axes, heading: str | None = None) -> None:
    """One legend for all panels right of the figure, of this one's lines; a panel's own would push the others away."""
    handles, labels = legend_entries([axes])
    if len(labels) > 1:
        drawn.legend(handles, labels, loc="outside right upper", title=heading, alignment="left")


def legend_below(drawn: Figure, grid: Sequence[Axes], n_columns: int) -> None:
    """One legend for all panels under the figure."""
    drawn.legend(*legend_entries(grid), loc="outside lower left", ncols=n_columns)


def legend_above(axes: Axes, title: str) -> None:
    """The title, and between it and the panel a legend in a row."""
    axes.set_title(title, loc="left", pad=24)
    axes.legend(
        *legend_entries([axes]), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2,
        columnspacing=1.2, fontsize=9,
    )  # fmt: skip


def n_shown(shown: int, of_all: int) -> str | None:
    """A legend's heading where a figure leaves settings out, as ``12 of 32 settings``."""
    return None if shown == of_all else f"{shown} of {of_all} settings"


def named(shown: Sequence[str], of_all: int) -> str:
    """The lines of a figure for its alternative text: ``of a; b; c``, and of how many where some are left out."""
    left = "" if len(shown) == of_all else f" ({len(shown)} of {of_all})"
    return f"of {'; '.join(dict.fromkeys(shown))}{left}"


def written_out(value: float, _place: object = None) -> str:
    """A tick's number without exponent, ``1,000,000`` or ``0.05``; for ``set_major_formatter``."""
    return f"{value:,.9g}"


def log_ticks(axis: Axis, subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Ticks of a logarithmic axis at these places of each decade, their numbers written out, none in between."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(written_out)


def ratio_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic axis of ratios, a little wider than these; the narrower, the more of its ticks have a number."""
    margin = (high / low) ** 0.04
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    log_ticks(axes.xaxis, (1.0,) if high / low > _WIDE else (1.0, 2.0, 5.0))
    if high / low < _NARROW:
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def name_rows(axes: Axes, names: Sequence[str], places: Sequence[float] | None = None) -> None:
    """A panel of rows from the top, at 0, -1, ... or the places given, each with its name and no line of a grid."""
    axes.set_yticks([-i for i in range(len(names))] if places is None else places, names)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def note_right(axes: Axes, y: float, text: str, away: float = 6) -> None:
    """A short text right of a panel, at a height of its data and so many points away."""
    axes.annotate(
        text, (1.0, y), xycoords=("axes fraction", "data"), xytext=(away, 0), textcoords="offset points", va="center",
        fontsize=8.5, color=INK, annotation_clip=False,
    )  # fmt: skip


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
    kept = [e for e in whole if (e - whole[0]) % max(1, math.ceil(room)) == 0] or [exponents[0]]
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
    log_ticks(axes.yaxis, (1.0, 2.0, 5.0) if max(known) / min(known) < 1000 else (1.0,))
