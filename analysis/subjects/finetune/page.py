"""Accuracy over time, images and joules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.cells.groups import file_names, of
from analysis.cells.identity import with_identity
from analysis.page.command_line import run_report
from analysis.page.sections import MAX_FIGURES, Drawn, counted, fill, links, listed, shortened
from analysis.read.sweeps import Page
from analysis.subjects.finetune import tables
from analysis.subjects.finetune.answer import answer
from analysis.subjects.finetune.figures import MAX_LINES, draw_training
from analysis.subjects.finetune.quantities import COLUMNS, Training, trainings

NAME = "report_finetune"
NOTHING = "No cell was trained to its end, so there is no accuracy to tell of."


def _by_task(found: Sequence[Training]) -> dict[str, list[Training]]:
    by_task: dict[str, list[Training]] = {}
    for training in found:
        if training.accuracy.size:
            by_task.setdefault(training.task, []).append(training)
    return by_task


def draw(found: Sequence[Training], folder: Path) -> list[Drawn]:
    """One figure a task, at most ``MAX_FIGURES``."""
    by_task = _by_task(found)
    drawn: list[Drawn] = []
    for name, (task, own) in zip(file_names("finetune", list(by_task)), by_task.items(), strict=True):
        if len(drawn) == MAX_FIGURES:
            break
        title = f"Held-out accuracy{of(task)}"
        over = draw_training(folder / name, own, title=title)
        lines = "; ".join(training.label for training in own[:MAX_LINES])
        drawn.append((folder / name, f"{title} over {listed(over)}, of {lines}"))
    return drawn


def left_out(found: Sequence[Training], n_rows: int) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    n_without = sum(not training.accuracy.size for training in found)
    if n_without:
        said.append(f"{counted(n_without, 'training')} without rounds: the tables have what the cells' rows tell.")
    if any(sum(not t.is_pruned for t in own) > MAX_LINES for own in _by_task(found).values()):
        said.append(f"Figures show the {MAX_LINES} trainings of the best accuracy of a task.")
    if len(found) > tables.MAX_ROWS:
        said.append(f"The tables have the first {tables.MAX_ROWS} of {len(found):,} trainings.")
    if n_rows > len(found) > 0:
        said.append(f"{counted(n_rows - len(found))} did not train to an end or did no training.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    found = trainings(with_identity(page.trials), page.rounds)
    return fill(
        "subjects/finetune/page.md.j2", page, "Accuracy and what it takes",
        answer=shortened(answer(found)) or [NOTHING],
        left_out=left_out(found, len(page.trials)),
        figures=links(draw(found, page.figures), page.figures),
        trainings=tables.trainings_table(found),
        levels=tables.level_tables(found),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on finetuning: accuracy over time, images and joules; time and energy to the target."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
