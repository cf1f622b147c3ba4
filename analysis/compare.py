"""Machines, versions or commits against each other: ``python analysis/compare.py A B [C...]``.

A is the baseline. A side is a sweep, a results folder (its latest sweep) or several joined by commas, with a name of
your choice before an equals sign: ``mac=results/mac workstation=results/a,results/b``. The exit code is 3 if a cell
became slower or was lost, 2 if the sides cannot be compared, else 0.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

from analysis import compare_tables as tables
from analysis.best import best_cells
from analysis.cells import common, label, varying
from analysis.comparison import Comparison, compare
from analysis.forest import MAX_ROWS, Ratio, draw_forest
from analysis.load import AnalysisError, run_main
from analysis.matching import Difference, Side
from analysis.render import escape, render
from analysis.script import write_page
from analysis.sides import check_unambiguous, load_sides
from analysis.summaries import records

REGRESSION = 3
"""Exit code where a cell is slower than in the baseline, or completed there and fails here."""


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
    told = f"geometric mean, {mean['n_cells']} cells"
    return rows, Ratio(label=told, ratio=mean["ratio"], low=mean["ratio_low"], high=mean["ratio_high"], verdict="same")


def draw(comparison: Comparison, baseline: str, folder: Path) -> list[tuple[Path, str]]:
    """A forest plot for each side; (file, alternative text)."""
    drawn = []
    for i, side in enumerate(comparison.sides["side"], start=1):
        rows, mean = ratios(comparison, side)
        if not rows:
            continue
        path = folder / ("compare.png" if len(comparison.sides) == 1 else f"compare-{i}.png")
        left_out = f"; the {MAX_ROWS} of {len(rows)} cells furthest from 1" if len(rows) > MAX_ROWS else ""
        title = f"Speed of {side} against {baseline}"
        draw_forest(path, rows, mean, title=title,
                    x_label=f"speed over the baseline's, 95 % interval (over 1 is faster{left_out})")  # fmt: skip
        drawn.append((path, f"{title}: ratio and 95 % interval of {len(rows)} cells{left_out}"))
    return drawn


def refuse(found: Sequence[Difference], baseline: str) -> None:
    """Refuse sides that did different work.

    Raises:
        AnalysisError: Naming what differs and the option that allows it.
    """
    known = [d for d in found if not d.is_unknown]
    if known:
        told = "; ".join(dict.fromkeys(tables.difference_text(d, baseline) for d in known))
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
    if not all(any(row["status"] == "complete" for row in side.rows) for side in sides):
        return "no cell was completed on every side"
    return f"no cell is the same on all sides: they differ in {', '.join(reasons) or 'their combinations of settings'}"


def allowed_text(sides: Sequence[Side], allowed: Sequence[str]) -> list[str]:
    """What was allowed to differ, and each side's values of it."""
    said = []
    for column in allowed:
        values = []
        for side in sides:
            name = column if column in side.facts else f"option {column}"
            found = dict.fromkeys(str(r[name]) for r in side.rows if r.get(name) is not None)
            values.append(f"{', '.join(found) or 'not recorded'} in {side.label}")
        said.append(f"Allowed to differ: {escape(column)}: {escape('; '.join(values))}.")
    return said


def build(sides: Sequence[Side], allowed: Sequence[str], across: Sequence[str], folder: Path) -> tuple[str, bool]:
    """The Markdown, and whether there is a regression; figures are written into ``folder/figures``.

    Raises:
        AnalysisError: If the sides did different work, or share neither cells nor work.
    """
    free = [*across, *allowed]
    check_unambiguous(sides, free)
    comparison = compare(sides, across=free)
    baseline = sides[0].label
    best, best_differences = best_cells(sides)
    of_best = [d for d in best_differences if d.column.removeprefix("option ") not in free]
    refuse([*comparison.differences, *of_best], baseline)
    if comparison.cells.empty and best.empty:
        raise AnalysisError(nothing_shared(sides, comparison.key))
    caveats = allowed_text(sides, allowed)
    unknown = dict.fromkeys(tables.difference_text(d, baseline) for d in [*comparison.differences, *of_best])
    caveats += [f"Recorded by one side only: {text}." for text in unknown]
    unreadable = dict.fromkeys(name for side in sides for name in side.trials.attrs.get("unreadable", []))
    if unreadable:
        caveats.append(f"{len(unreadable)} files could not be read and were left out: {escape(', '.join(unreadable))}.")
    if comparison.cells.empty:
        caveats.append(f"{escape(nothing_shared(sides, comparison.key))}. Columns may be left out of the match by "
                       "--allow-different.")  # fmt: skip
    drawn = draw(comparison, baseline, folder / "figures")
    text = render(
        "compare.md.j2",
        title=escape(f"{', '.join(side.label for side in sides[1:])} against {baseline}"),
        answer=[*tables.answer(comparison, baseline), *tables.energy_and_memory(comparison)],
        caveats=caveats,
        best=tables.best_table(best),
        figures=[(f"figures/{path.name}", told) for path, told in drawn],
        common=escape(common(comparison.cells, comparison.key)),
        cells=tables.cells_table(comparison),
        method=tables.method(comparison),
        outcomes=tables.outcomes_table(comparison),
        environment=tables.environment_table(sides),
    )
    return text, comparison.has_regression


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="[NAME=]RESULTS[,RESULTS...]", help="a side; the first is the "
                        "baseline")  # fmt: skip
    parser.add_argument("--allow-different", nargs="+", default=[], metavar="COLUMN", action="extend",
                        help="compare although this differs, such as model or input_shape")  # fmt: skip
    parser.add_argument("--across", nargs="+", default=[], metavar="COLUMN", action="extend",
                        help="make a side of each value of this column, such as device or precision")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("compare.md"), help="the Markdown file (default: "
                        "compare.md)")  # fmt: skip
    parser.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    options: Any = parser.parse_args(arguments)
    sides = load_sides(options.results, options.across)
    text, has_regression = build(sides, options.allow_different, options.across, options.output.parent)
    sys.stdout.write(f"{write_page(options.output, text, html=options.html)}\n")
    return REGRESSION if has_regression else 0


if __name__ == "__main__":
    sys.exit(run_main(main))
