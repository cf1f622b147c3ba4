"""Each precision against fp32 of the same cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.cells.groups import file_names, of
from analysis.cells.identity import with_identity
from analysis.contract.cells import MEASURED, SERVER
from analysis.page.command_line import run_report
from analysis.page.sections import MAX_FIGURES, Drawn, counted, fill, links, listed, shortened
from analysis.read.sweeps import Page
from analysis.subjects.precision import tables
from analysis.subjects.precision.answer import answer
from analysis.subjects.precision.figures import MAX_LINES, MAX_PLACES, draw_precision
from analysis.subjects.precision.quantities import BASE, COLUMNS, Pair, overviews, pairs, unequal_outcomes
from analysis.text import escape

NAME = "report_precision"
NOTHING = "No cell was measured both in fp32 and in another precision, so there is nothing to compare."


def draw(measured: Sequence[Pair], folder: Path) -> list[Drawn]:
    """One figure a task, at most ``MAX_FIGURES``."""
    by_task: dict[str, list[Pair]] = {}
    for pair in measured:
        by_task.setdefault(pair.task, []).append(pair)
    drawn: list[Drawn] = []
    for name, (task, own) in zip(file_names("precision", list(by_task)), by_task.items(), strict=True):
        if len(drawn) == MAX_FIGURES:
            break
        title = f"Precisions against fp32{of(task)}"
        shown = draw_precision(folder / name, own, title=title)
        lines = "; ".join(dict.fromkeys(pair.line for pair in own))
        places = ", ".join(dict.fromkeys(pair.place for pair in own))
        drawn.append((folder / name, f"{title}: {listed(shown)} of {lines} on {places}"))
    return drawn


def left_out(frame: pd.DataFrame, found: Sequence[Pair], measured: Sequence[Pair]) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    others = frame[frame["status"].isin(MEASURED) & (frame["precision"] != BASE)]
    n_alone = len(others) - sum(pair.row["status"] in MEASURED for pair in found)
    if n_alone > 0:
        said.append(f"{counted(n_alone)} in another precision without the same cell in fp32 left out.")
    for task in dict.fromkeys(pair.task for pair in measured):
        own = [pair for pair in measured if pair.task == task]
        if len({p.line for p in own}) > MAX_LINES or len({p.place for p in own}) > MAX_PLACES:
            said.append(f"Figures show the first {MAX_LINES} lines on the first {MAX_PLACES} devices; the tables have "
                        "more.")  # fmt: skip
            break
    if len(measured) > tables.MAX_ROWS:
        said.append(f"The table of cells has the first {tables.MAX_ROWS} of {len(measured):,}.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    frame = with_identity(page.trials)
    found = pairs(frame)
    measured = [pair for pair in found if pair.is_measured]
    seen = overviews(found)
    items = frame["item"].dropna().unique()
    references = [escape(name) for name in frame["reference"].dropna().unique()]
    reference = " or ".join(references)
    return fill(
        "subjects/precision/page.md.j2", page, "Precisions against fp32",
        answer=shortened(answer(seen, reference)) or [NOTHING],
        left_out=left_out(frame, found, measured),
        figures=links(draw(measured, page.figures), page.figures),
        overview=tables.overview_table(seen),
        has_server=any(pair.row["scenario"] == SERVER for pair in measured),
        reference=reference,
        outcomes=tables.outcomes_table(unequal_outcomes(found)),
        cells=tables.pairs_table(measured, escape(items[0]) if len(items) == 1 else "items"),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on the precisions: speed, memory, energy and agreement against fp32."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
