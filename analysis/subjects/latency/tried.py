"""The rates that a search for the highest one tried: their table, and the curve of the p99 over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.cells.groups import Group, groups, line_columns, machine_columns, of
from analysis.cells.naming import varying
from analysis.cells.rows import complete, records
from analysis.contract.cells import SERVER
from analysis.contract.choice import P99_COLUMNS
from analysis.figures.lines import Series, draw_series, in_unit, values
from analysis.figures.panels import INK, legend_right, panels, value_axis
from analysis.page.columns import Column, cell_table, count, plain
from analysis.stats.estimate import of_row
from analysis.text import is_missing

MAX_LINES = 4
SEEN, BOUND = P99_COLUMNS
_ROUND = ["rate_per_s", "n_requests", SEEN, BOUND, "held", "round"]


def tried_rates(frame: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """A row for each rate that a search tried: the cell's columns, and of the run those of the table of rounds."""
    cells = complete(frame)
    cells = cells[(cells["scenario"] == SERVER) & cells["rate_per_s"].isna()]
    keys = ["sweep", "trial_key"]
    runs = rounds[rounds["rate_per_s"].notna()] if "sweep" in rounds else rounds.assign(sweep=None).head(0)
    return cells.drop(columns=_ROUND, errors="ignore").merge(runs[[*keys, *_ROUND]], on=keys)


def _curves(tried: pd.DataFrame) -> list[Group]:
    names = [
        *machine_columns(tried),
        *line_columns(tried, without=machine_columns(tried)),
        *varying(tried, ["batch_size"]),
    ]
    return [replace(one, cells=one.cells.sort_values("rate_per_s", kind="stable")) for one in groups(tried, names)]


def _lines(curves: Sequence[Group]) -> list[Series]:
    """For each curve the upper bound of the p99; one alone has the p99 that was seen beside it."""
    told = [(BOUND, "upper bound of the p99"), (SEEN, "p99 of the requests")]
    made = []
    for curve in curves:
        for column, words in told if len(curves) == 1 else told[:1]:
            rows = [row for row in records(curve.cells) if not is_missing(row[column])]
            name = words if len(curves) == 1 else curve.name
            made.append(
                Series(label=name, kind=name, x=[r["rate_per_s"] for r in rows], y=[of_row(r, [column]) for r in rows])
            )
    return [line for line in made if line.x]


def draw_tried(path: Path, task: Group) -> str | None:
    """The p99 over the rates tried; the limit as a dotted line, and the rates that did not hold it crossed out."""
    curves = _curves(task.cells)[:MAX_LINES]
    if not curves:
        return None
    title = f"Rates tried in the search for the highest within the limit{of(task.name)}"
    lines, unit = in_unit(_lines(curves))
    scale = 1.0 if unit == "s" else 1e3
    limits = sorted({scale * float(v) for curve in curves for v in curve.cells["deadline_s"].dropna()})
    failed = [(row["rate_per_s"], scale * row[BOUND]) for curve in curves for row in records(curve.cells)
              if row["held"] == False]  # noqa: E712  # fmt: skip
    with panels(path) as (_, (axes,)):
        draw_series(axes, lines)
        if failed:
            axes.plot(*zip(*failed, strict=True), linestyle="", marker="x", markersize=10, markeredgewidth=1.6,
                      color=INK, zorder=5, label="over the limit")  # fmt: skip
        for limit in limits:
            axes.axhline(
                limit, color=INK, linewidth=1.2, linestyle=(0, (1, 2)), zorder=1.5, label=f"limit {limit:g} {unit}"
            )
        value_axis(axes, [*values(lines), *limits])
        axes.set(title=title, xlabel="arrival rate (requests/s)", ylabel=f"p99 from scheduled arrival ({unit})")
        legend_right(axes)
    return f"{title}: p99 of the requests of each run and its upper bound, the limit as a dotted line"


def tried_table(tried: pd.DataFrame) -> str:
    """One row a rate."""
    words = {True: "yes", False: "no"}
    columns = [
        plain("arrivals (1/s)", "rate_per_s"),
        count("requests", "n_requests"),
        plain("measured p99 (ms)", SEEN, 1e3),
        plain("upper bound of p99 (ms)", BOUND, 1e3),
        plain("limit (ms)", "deadline_s", 1e3),
        Column("within the limit", lambda row: words.get(row["held"], ""), ["held"]),
    ]
    return cell_table(tried, columns, without=["rate_per_s"])
