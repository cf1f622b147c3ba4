"""Accuracy over time, images and joules."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.cells.identity import with_identity
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, shortened
from analysis.read.sweeps import Page
from analysis.subjects.finetune.figures import MAX_LINES, draw_training
from analysis.subjects.finetune.quantities import COLUMNS, Training, cheapest, most_accurate, trainings, with_rounds
from analysis.subjects.finetune.tables import UNITS, cost_text, level_tables, percent, percent_interval, trainings_table
from analysis.text import counted, escape, significant


def answer(found: Sequence[Training]) -> list[str]:
    """For each task: which training reached its target first, the best accuracy, and the least energy."""
    said = []
    for task in by_task(found):
        of_task = task.members
        sentences = [*_soonest(of_task), *_best(of_task), *_least(of_task, "items"), *_least(of_task, "joules")]
        said += [f"{escape(task.name)}: {sentence}" if task.name else sentence for sentence in sentences]
    return said


def _soonest(found: Sequence[Training]) -> list[str]:
    first = cheapest(found, "seconds")
    targets = sorted({t.target for t in found if t.target is not None})
    told = " or ".join(f"{100 * target:g} %" for target in targets)
    if first is None:
        return [f"No training reached the target of {told}."] if targets else []
    training, spent = first
    sentence = f"**{escape(training.label)}** is first at the target of {told}, after {cost_text(spent)} s of training"
    elsewhere = dict.fromkeys(t.place for t in found if t.place != training.place)
    others = [cheapest([t for t in found if t.place == place], "seconds") for place in elsewhere]
    for other, theirs in [one for one in others if one is not None][:3]:
        times = significant((theirs.value or math.nan) / (spent.value or math.nan), 2)
        sentence += f"; on {escape(other.place)} the first, {escape(other.kind)}, takes {times} times that"
    return [f"{sentence}."]


def _best(found: Sequence[Training]) -> list[str]:
    best = most_accurate(found)
    if best is None:
        return []
    told = f"The best held-out accuracy is {percent(best.best)} % with {escape(best.label)}"
    if best.best.low is None:
        return [f"{told}."]
    rivals = [t for t in found if t is not best and (t.best.value or 0) >= best.best.low]
    n = len(found) - 1
    of_others = f"; {len(rivals) or 'none'} of {n} others came within it" if n > 1 else ""
    return [f"{told}, 95 % interval {percent_interval(best.best)} for {best.n_heldout:,} held-out images{of_others}."]


def _least(found: Sequence[Training], cost: str) -> list[str]:
    least = cheapest(found, cost)
    if least is None or (cost == "items" and len(found) == 1):
        return []
    training, spent = least
    word = {"items": "Fewest images", "joules": "Least energy"}[cost]
    return [f"{word} to the target: {cost_text(spent)} {UNITS[cost]}, with {escape(training.label)}."]


def left_out(found: Sequence[Training], n_rows: int) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    n_without = len(found) - len(with_rounds(found))
    if n_without:
        said.append(f"{counted(n_without, 'training')} without rounds: the tables have what the cells' rows tell.")
    if any(sum(not t.is_pruned for t in task.members) > MAX_LINES for task in by_task(with_rounds(found))):
        said.append(f"Figures show the {MAX_LINES} trainings of the best accuracy of a task.")
    if n_rows > len(found) > 0:
        said.append(f"{counted(n_rows - len(found))} did not train to an end or did no training.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    found = trainings(with_identity(page.trials), page.rounds)
    drawn = draw_each(page, "finetune", by_task(with_rounds(found)), draw_training)
    return fill(
        "subjects/finetune/page.md.j2", page, "Accuracy and what it takes",
        answer=shortened(answer(found)) or ["No cell was trained to its end, so there is no accuracy to tell of."],
        figures=drawn.leaving_out(left_out(found, len(page.trials))),
        trainings=trainings_table(found),
        levels=level_tables(found),
    )  # fmt: skip


main = report_main(
    "finetune", build, COLUMNS,
    "Write the report on finetuning: accuracy over time, images and joules; time and energy to the target.",
)  # fmt: skip
