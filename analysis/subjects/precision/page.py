"""Each precision against fp32 of the same cell."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import by_task, groups, task_columns
from analysis.cells.identity import with_identity
from analysis.cells.rows import items_of
from analysis.contract.cells import MEASURED, SERVER
from analysis.page.agreement import n_compared_told
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, shortened
from analysis.read.sweeps import Page
from analysis.subjects.precision.answer import answer
from analysis.subjects.precision.figures import MAX_LINES, MAX_PLACES, draw_agreement, draw_precision
from analysis.subjects.precision.quantities import BASE, COLUMNS, Pair, overviews, pairs, unequal_outcomes
from analysis.subjects.precision.tables import outcomes_table, overview_table, pairs_table
from analysis.text import counted, escape


def left_out(frame: pd.DataFrame, found: Sequence[Pair], measured: Sequence[Pair]) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    others = frame[frame["status"].isin(MEASURED) & (frame["precision"] != BASE)]
    n_alone = len(others) - sum(pair.row["status"] in MEASURED for pair in found)
    if n_alone > 0:
        said.append(f"{counted(n_alone)} in another precision left out, as the same cell in fp32 is missing.")
    tasks = [task.members for task in by_task(measured)]
    if any(len({p.line for p in own}) > MAX_LINES or len({p.place for p in own}) > MAX_PLACES for own in tasks):
        said.append(
            f"Figures show the first {MAX_LINES} lines on the first {MAX_PLACES} devices; the tables have the rest."
        )
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    frame = with_identity(page.trials)
    found = pairs(frame)
    measured = [pair for pair in found if pair.is_measured]
    seen = overviews(found)
    reference = " or ".join(escape(name) for name in frame["reference"].dropna().unique())
    drawn = draw_each(page, "precision", by_task(measured), draw_precision)
    return fill(
        "subjects/precision/page.md.j2", page, "Precisions against fp32",
        answer=shortened(answer(seen, reference))
        or ["No cell was measured both in fp32 and in another precision, so there is nothing to compare."],
        figures=drawn.leaving_out(left_out(frame, found, measured)),
        fronts=draw_each(page, "front-agreement", groups(frame, task_columns(frame)), draw_agreement),
        overview=overview_table(seen),
        outcomes=outcomes_table(unequal_outcomes(found)),
        cells=pairs_table(measured, escape(items_of(frame))),
        has_server=any(pair.row["scenario"] == SERVER for pair in measured),
        reference=reference,
        n_compared=n_compared_told(frame),
    )  # fmt: skip


main = report_main(
    "precision", build, COLUMNS,
    "Write the report on the precisions: speed, memory, energy and agreement against fp32.",
)  # fmt: skip
