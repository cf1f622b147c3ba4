"""Lines of the report's figures: which are shown, how they look, and the limit that they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import groups, line_columns
from analysis.cells.naming import label, varying
from analysis.cells.rows import Row, records
from analysis.figures.lines import Series
from analysis.figures.panels import GREY, note_right
from analysis.stats.estimate import of_row

MAX_LINES = 12
"""More lines are unreadable; those that the fastest is best compared with are kept."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Cells that differ in nothing but what runs along; the group has a colour, the kind (other settings) a marker."""

    label: str
    group: str
    kind: str
    rows: list[Row]

    def series(self, x: str, y: Sequence[str]) -> Series:
        """The line with the values of a column as x; those of another as y, with its interval where three are named."""
        return Series(label=self.label, group=self.group, kind=self.kind, x=[row[x] for row in self.rows],
                      y=[of_row(row, y) for row in self.rows])  # fmt: skip


def colour_columns(cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """What colour tells of these: machine and device where they vary, else the precision if more than it varies."""
    where = varying(cells, [c for c in ("machine", "run", "device") if c in names])
    if where:
        return where
    told = varying(cells, names)
    return ["precision"] if "precision" in told and len(told) > 1 else []


def fastest_lines(cells: pd.DataFrame, along: str) -> tuple[list[Line], int]:
    """The ``MAX_LINES`` lines of a figure: the fastest, those that differ from it in one setting, the fastest others.

    A setting's worth is seen between lines that differ in nothing else: eager beside fused, though a dozen of the fused
    ones are faster than any eager one. What room is left goes to the fastest of each colour in turn, since slow
    precisions are what the fast ones are compared with.

    Returns:
        By colour and in the order of the grid, in which colours come too, so that a precision has the same in every
        figure of a sweep; and how many lines there are.
    """
    names = line_columns(cells, [along]) or ["device"]
    where = colour_columns(cells, names)
    rest = [c for c in names if c not in where]
    found = groups(cells, names)
    colours = [label(one.row, where) for one in found]
    by_speed = sorted(range(len(found)), key=lambda i: -float(found[i].cells[THROUGHPUT[0]].max()))
    best = by_speed[0]
    n_other = [sum(label(one.row, [c]) != label(found[best].row, [c]) for c in names) for one in found]
    # Those of another colour first: where an axis has many values, its lines would leave no room for them.
    beside = sorted((i for i in by_speed if n_other[i] == 1), key=lambda i: colours[i] == colours[best])
    kept, others = [best, *beside], [i for i in by_speed if i != best and n_other[i] != 1]
    ranks = pd.Series(colours).loc[[*kept, *others]]
    place = ranks.groupby(ranks).cumcount()
    ranked = [*kept, *sorted(others, key=lambda i: int(place[i]))][:MAX_LINES]
    shown = [
        Line(label=one.name, group=colours[i], kind=label(one.row, rest),
             rows=records(one.cells.sort_values(along, kind="stable")))
        for i, one in ((i, found[i]) for i in sorted(ranked, key=lambda i: (colours.index(colours[i]), i)))
    ]  # fmt: skip
    return shown, len(found)


def limit_line(axes: Axes, value: float, text: str = "limit") -> None:
    """A dashed line at a limit or target, with its name beside it, where no curve runs."""
    axes.axhline(value, color=GREY, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    note_right(axes, value, text, 4)
