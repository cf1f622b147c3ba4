"""Accuracy over time, images and joules."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.groups import by_task, groups, task_columns
from analysis.cells.identity import with_identity
from analysis.contract.runs import ACCURACY_SD
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, shortened
from analysis.read.sweeps import Page
from analysis.stats.estimate import known
from analysis.subjects.finetune.answer import answer
from analysis.subjects.finetune.figures import MAX_LINES, draw_accuracy_front, draw_training
from analysis.subjects.finetune.quantities import COLUMNS, Training, trainings, with_rounds
from analysis.subjects.finetune.tables import level_tables, trainings_table
from analysis.text import counted


def left_out(found: Sequence[Training], n_rows: int) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    n_without = len(found) - len(with_rounds(found))
    if n_without:
        said.append(f"{counted(n_without, 'training run')} without rounds: the tables show what the cells' rows hold.")
    if any(sum(not t.is_pruned for t in task.members) > MAX_LINES for task in by_task(with_rounds(found))):
        said.append(f"Figures show the {MAX_LINES} training runs with the best accuracy for each task.")
    if any(known(t.row.get(ACCURACY_SD)) for t in found):
        said.append(
            "Curves and the cost of each accuracy are those of a cell's first repeat; accuracies are means over its"
            " repeats."
        )
    if n_rows > len(found) > 0:
        said.append(f"{counted(n_rows - len(found))} did not finish training or did no training.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    frame = with_identity(page.trials)
    found = trainings(frame, page.rounds)
    trained = frame[frame["accuracy_best"].notna()]
    drawn = draw_each(page, "finetune", by_task(with_rounds(found)), draw_training)
    return fill(
        "subjects/finetune/page.md.j2", page, "Accuracy and its cost",
        answer=shortened(answer(found)) or ["No cell finished training, so there is no accuracy to report."],
        figures=drawn.leaving_out(left_out(found, len(page.trials))),
        fronts=draw_each(page, "front-accuracy", groups(trained, task_columns(trained)), draw_accuracy_front),
        trainings=trainings_table(found),
        levels=level_tables(found),
    )  # fmt: skip


main = report_main(
    "finetune", build, COLUMNS,
    "Write the report on finetuning: accuracy over time, images and joules; time and energy to the target.",
)  # fmt: skip
