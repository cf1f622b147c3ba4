"""Latency over the arrival rate: of rates that were cells of their own, and of those that a search tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.cells.groups import Group, of
from analysis.cells.naming import equals
from analysis.cells.rows import records
from analysis.contract.choice import P99_COLUMNS
from analysis.figures.lines import Series, draw_series, in_unit, values
from analysis.figures.panels import INK, legend_right, log_ticks, named, panels, value_axis
from analysis.stats.estimate import of_row
from analysis.subjects.latency.quantities import PERCENTILES, TAIL, load_curves
from analysis.text import is_missing

MAX_LINES = 8
_PERCENTILES = {name: (TAIL if name == "p99" else (column,)) for name, column in reversed(PERCENTILES.items())}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A figure over the arrival rate: its lines, each with the columns of its figure, and which points are marked."""

    title: str
    tail: Sequence[str]  # of several curves
    lines: Mapping[str, Sequence[str]]  # of one
    marked: tuple[str, bool]  # column, and the value that is marked
    sign: str
    mark: str
    limit: str
    told: str


LOAD = Kind(
    title="Tail latency over arrival rate", tail=TAIL, lines=_PERCENTILES, marked=("is_saturated", True), sign="o",
    mark="overloaded", limit="deadline", told="99th percentile with 95 % intervals, deadlines as dotted lines",
)  # fmt: skip
TRIED = Kind(
    title="Rates tried in the search for the highest within the limit", tail=P99_COLUMNS[1:],
    lines={"upper bound of the p99": P99_COLUMNS[1:], **_PERCENTILES, "p99": P99_COLUMNS[:1]}, marked=("held", False),
    sign="x", mark="over the limit", limit="limit",
    told="p99 of the requests of each run and its upper bound, the limit as a dotted line",
)  # fmt: skip


def rate_lines(curves: Sequence[Group], kind: Kind) -> list[Series]:
    """Latency in seconds over the rate: of several curves each one's tail, of one all percentiles that are known."""

    def line(curve: Group, name: str, columns: Sequence[str]) -> Series:
        rows = [row for row in records(curve.cells) if not is_missing(row[columns[0]])]
        device = str(curve.row["device"]) if len(curves) > 1 else ""
        return Series(label=name, group=device, kind=name.removeprefix(f"{device}, "),
                      x=[row["offered_per_s"] for row in rows], y=[of_row(row, columns) for row in rows])  # fmt: skip

    if len(curves) > 1:
        return [line(curve, curve.name, kind.tail) for curve in curves]
    made = [line(curves[0], name, columns) for name, columns in kind.lines.items()]
    return [one for one in made if one.x]


def draw_over_rate(path: Path, task: Group, kind: Kind = LOAD) -> str | None:
    """Latency over the arrival rate; deadlines as dotted lines, points over them or overloaded marked."""
    curves = load_curves(task.cells)[:MAX_LINES]
    if not curves:
        return None
    title = f"{kind.title}{of(task.name)}"
    lines, unit = in_unit(rate_lines(curves, kind))
    cells = pd.concat([curve.cells for curve in curves])
    scale = 1.0 if unit == "s" else 1e3
    limits = sorted({scale * float(v) for v in cells["deadline_s"].dropna()})
    marked = cells[equals(cells, *kind.marked) & cells[kind.tail[0]].notna()]
    with panels(path) as (_, (axes,)):
        draw_series(axes, lines)
        if len(marked):
            axes.plot(marked["offered_per_s"], scale * marked[kind.tail[0]], linestyle="", marker=kind.sign,
                      markersize=11, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.3, zorder=5,
                      label=kind.mark)  # fmt: skip
        for limit in limits:
            axes.axhline(limit, color=INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5,
                         label=f"{kind.limit} {limit:g} {unit}")  # fmt: skip
        rates = [x for line in lines for x in line.x]
        if max(rates) > 8 * min(rates):
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
        value_axis(axes, [*values(lines), *limits])
        what = "p99 latency" if len(curves) > 1 else "latency"
        axes.set(title=title, xlabel="arrival rate (requests/s)", ylabel=f"{what} from scheduled arrival ({unit})")
        legend_right(axes)
    return f"{title}: {kind.told}, {named([line.label for line in lines], len(lines))}"


def tasks_and_curves(tasks: Sequence[Group]) -> list[Group]:
    """Each task, and behind one of several curves these: a figure of one curve has all its percentiles."""
    found = []
    for task in tasks:
        curves = load_curves(task.cells)
        found += [task, *(curves if len(curves) > 1 else [])]
    return found
