"""The sentences that the report on finetuning begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.subjects.finetune.quantities import Training, cheapest, most_accurate
from analysis.subjects.finetune.tables import UNITS, cost_text, percent, percent_interval
from analysis.text import escape, significant


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
        times = significant((theirs.value or math.nan) / (spent.value or math.nan))
        sentence += f"; on {escape(other.place)} the first, {escape(other.kind)}, takes {times} times that"
    return [f"{sentence}."]


def _best(found: Sequence[Training]) -> list[str]:
    best = most_accurate(found)
    if best is None:
        return []
    told = f"The best held-out accuracy is {percent(best.best)} % with {escape(best.label)}"
    if best.best.low is None:
        return [f"{told}."]
    rivals = [t for t in found if t is not best and t.learned is None and (t.best.value or 0) >= best.best.low]
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
