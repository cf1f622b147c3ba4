"""Machines, versions or commits against each other: ``python analysis/compare.py A B [C...]``.

A is the baseline. A side is a sweep, a results folder (its latest sweep), several of them joined by commas, or all that
match a quoted pattern; NAME= names it: ``mac='results/mac/*' workstation=results/a,results/b``. Each side needs several
sweeps or ``--repeats``: one run per side says nothing about the next run.

Exit codes: 0 every cell is shown not to be slower by --min-change or more; 3 regression: cells are slower, all together
are, or a cell completed in A has failed since; 4 undecided: neither is shown; 2 the sides cannot be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.cells.matching import Difference, Side
from analysis.cells.naming import common, label, varying
from analysis.cells.rows import records
from analysis.comparison import tables
from analysis.comparison.answer import answer, regression, undecided
from analysis.comparison.best import best_cells
from analysis.comparison.caveats import caveats, difference_text
from analysis.comparison.comparison import Comparison, compare
from analysis.comparison.forest import MAX_ROWS, Ratio, draw_forest
from analysis.comparison.in_json import as_json
from analysis.comparison.sides import check_known, check_unambiguous, load_sides
from analysis.page.command_line import OneLineParser, write_json, write_page, writing
from analysis.page.environment import environment_table
from analysis.page.sections import Drawings
from analysis.page.templates import render
from analysis.read.sweep import AnalysisError
from analysis.stats.told_apart import MIN_CHANGE
from analysis.text import counted, escape

MAX_TOLD = 5
"""Cells that a figure's alternative text names."""
SAME, REGRESSION, UNDECIDED = 0, 3, 4
"""Exit codes: each cell is shown to be as fast or faster; one is slower or lost, or all together are; neither."""


def ratios(comparison: Comparison, side: str) -> tuple[list[Ratio], Ratio | None]:
    """The rows of a side's forest plot, and its geometric mean (none of fewer than two cells)."""
    frame = comparison.cells[comparison.cells["side"] == side]
    names = varying(frame, comparison.key)
    rows = [
        Ratio(label=label(row, names), ratio=row["ratio"], low=row["ratio_low"], high=row["ratio_high"],
              verdict=row["verdict"])
        for row in records(frame[frame["ratio"].notna()])
    ]  # fmt: skip
    mean = records(comparison.sides[comparison.sides["side"] == side])[0]
    if len(rows) < 2:
        return rows, None
    told = f"geometric mean, {counted(mean['n_cells'])}"
    return rows, Ratio(label=told, ratio=mean["ratio"], low=mean["ratio_low"], high=mean["ratio_high"], verdict="same")


def draw(comparison: Comparison, baseline: str, folder: Path) -> Drawings:
    """A forest plot for each side."""
    drawn = []
    for i, side in enumerate(comparison.sides["side"], start=1):
        rows, mean = ratios(comparison, side)
        if not rows:
            continue
        path = folder / ("compare.png" if len(comparison.sides) == 1 else f"compare-{i}.png")
        left_out = f", the {MAX_ROWS} of {len(rows):,} cells furthest from 1" if len(rows) > MAX_ROWS else ""
        title = f"Speed of {side} relative to {baseline}"
        draw_forest(path, rows, mean, f"{title}{left_out}", comparison.min_change)
        shown = "; ".join(f"{row.label} {row.told}" for row in [*rows[:MAX_TOLD], *([mean] if mean else [])])
        more = f"; {len(rows) - MAX_TOLD:,} more in the table" if len(rows) > MAX_TOLD else ""
        drawn.append((path, f"{title}, 95 % intervals: {shown}{more}"))
    return Drawings(figures=drawn)


def refuse(found: Sequence[Difference], baseline: str) -> None:
    """Refuse sides that did different work: an AnalysisError names what differs and the option that allows it."""
    known = [d for d in found if not d.is_unknown]
    if known:
        told = "; ".join(dict.fromkeys(difference_text(d, baseline) for d in known))
        columns = " ".join(dict.fromkeys(d.column.removeprefix("option ") for d in known))
        raise AnalysisError(f"the sides did different work: {told}. To compare them all the same: "
                            f"--allow-different {columns}")  # fmt: skip


def nothing_shared(sides: Sequence[Side], key: Sequence[str]) -> str:
    """Why no cell of the sides matches: the columns of which they share no value."""
    reasons = []
    for column in key:
        values = [{row.get(column) for row in side.rows if row["status"] == "complete"} for side in sides]
        if not set.intersection(*values):
            told = " against ".join("/".join(sorted(map(str, v))) or "nothing" for v in values)
            reasons.append(f"{column.removeprefix('option ')} ({told})")
    without = [side.label for side in sides if not any(row["status"] == "complete" for row in side.rows)]
    if without:
        return f"no cell was completed on every side: {', '.join(without)} has none"
    return f"no cell is the same on all sides: they differ in {', '.join(reasons) or 'their combinations of settings'}"


def build(
    sides: Sequence[Side], allowed: Sequence[str], across: Sequence[str], folder: Path, min_change: float = MIN_CHANGE
) -> tuple[str, Comparison]:
    """The Markdown, and what it was made from; figures are written into ``folder/figures``.

    Raises:
        AnalysisError: If the sides did different work, or share neither cells nor work.
    """
    free = [*across, *allowed]
    check_known(sides, allowed)
    check_unambiguous(sides, free)
    comparison, baseline = compare(sides, across=free, min_change=min_change), sides[0].label
    best, of_best = best_cells(sides, free)
    found = [*comparison.differences, *of_best]
    refuse(found, baseline)
    if comparison.cells.empty and best.empty and comparison.outcomes.empty:
        raise AnalysisError(nothing_shared(sides, comparison.key))
    known_by_one = dict.fromkeys(difference_text(d, baseline) for d in found)
    doubts = [f"Recorded by one side only: {escape(text)}." for text in known_by_one]
    if comparison.cells.empty:
        why = nothing_shared(sides, comparison.key)
        doubts.append(f"{escape(why[0].upper() + why[1:])}. Columns can be left out of the match with "
                      "--allow-different, or made into sides with --across.")  # fmt: skip
    text = render(
        "comparison/page.md.j2",
        title=escape(f"{', '.join(side.label for side in sides[1:])} against {baseline}"),
        answer=answer(comparison, best, baseline),
        caveats=[*doubts, *caveats(comparison, sides, allowed)],
        best=tables.best_table(best),
        best_note=tables.best_note(across),
        figures=draw(comparison, baseline, folder / "figures"),
        common=escape(common(comparison.cells, comparison.key)),
        cells=tables.cells_table(comparison, baseline),
        method=tables.method(comparison),
        outcomes=tables.outcomes_table(comparison, baseline),
        environment=environment_table([(side.label, side.rows) for side in sides]),
    )
    return text, comparison


def main(arguments: Sequence[str]) -> int:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="[NAME=]RESULTS[,RESULTS...]", help="a side; the first is the "
                        "baseline")  # fmt: skip
    parser.add_argument("--allow-different", nargs="+", default=[], metavar="COLUMN", action="extend",
                        help="compare even though this differs, such as model or input_shape")  # fmt: skip
    parser.add_argument("--across", nargs="+", default=[], metavar="COLUMN", action="extend",
                        help="make each value of this column a side, such as device or precision")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("compare.md"), help="the Markdown file (default: "
                        "compare.md)")  # fmt: skip
    parser.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    parser.add_argument("--json", action="store_true", help="also write what was found, with the exit code, as JSON")
    parser.add_argument("--baseline", metavar="NAME", help="the side to compare with, such as 'mac cpu' of --across "
                        "device (default: the first)")  # fmt: skip
    parser.add_argument("--min-change", type=_share, default=MIN_CHANGE, metavar="PERCENT", help="the change in a "
                        f"cell's time that matters, such as 2 (default: {100 * MIN_CHANGE:g}); for all cells together,"
                        " half of it")  # fmt: skip
    options: Any = parser.parse_args(arguments)
    sides = load_sides(options.results, options.across, options.baseline)
    with writing(options.output):
        text, found = build(sides, options.allow_different, options.across, options.output.parent, options.min_change)
        sys.stdout.write(f"{write_page(options.output, text, html=options.html)}\n")
        code, word, why = _verdict(found, sides[0].label)
        if options.json:
            told = as_json(found, [side.label for side in sides], exit_code=code, word=word, why=why)
            write_json(options.output.with_suffix(".json"), told)
    if why is not None:
        sys.stderr.write(f"compare.py: {word}: {why}\n")
    return code


def _verdict(found: Comparison, baseline: str) -> tuple[int, str, str | None]:
    """The exit code, its word, and the reason where there is one."""
    for code, word, told in (
        (REGRESSION, "regression", regression(found, baseline)),
        (UNDECIDED, "undecided", undecided(found, baseline)),
    ):
        if told is not None:
            return code, word, told
    return SAME, "no regression", None


def _share(text: str) -> float:
    """A percentage, with its sign or without, as a share."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage between 0 and 100")
    return share
