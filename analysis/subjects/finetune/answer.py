"""The sentences that the report on finetuning begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.subjects.finetune.quantities import Ranked, Training, cheapest, most_accurate
from analysis.subjects.finetune.tables import UNITS, cost_text, percent, percent_interval
from analysis.text import escape, significant, some

MAX_NAMED = 3
"""Trainings that a sentence names; the table has all."""


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
        return [f"No training run reached the target of {told}."] if targets else []
    training, spent = first.training, first.figure
    word = "is the first to reach" if first.is_first else "reaches"
    sentence = f"**{escape(training.label)}** {word} the target of {told} after {cost_text(spent)} s of training"
    sentence += _beside(first)
    elsewhere = dict.fromkeys(t.place for t in found if t.place != training.place)
    others = [cheapest([t for t in found if t.place == place], "seconds") for place in elsewhere]
    for other in [one for one in others if one is not None][:3]:
        times = significant((other.figure.value or math.nan) / (spent.value or math.nan))
        sentence += f"; on {escape(other.training.place)} {escape(other.training.kind)} takes {times}x as long"
    return [f"{sentence}."]


def _beside(ranked: Ranked) -> str:
    """Which others are statistically indistinguishable from the first, after a comma."""
    named = some([escape(t.label) for t in ranked.rivals], MAX_NAMED, "; ")
    if len(ranked.rivals) == ranked.n_others > MAX_NAMED:
        named = f"all {ranked.n_others:,} others"
    return f", statistically indistinguishable from {named}" if named else ""


def _best(found: Sequence[Training]) -> list[str]:
    best = most_accurate(found)
    if best is None:
        is_none = found and all(t.learned for t in found)
        return ["No training run did better than guessing: none has an accuracy."] if is_none else []
    figure, training = best.figure, best.training
    word = "The best held-out accuracy is" if best.is_first else "Held-out accuracy reaches"
    told = f"{word} {percent(figure)} % with {escape(training.label)}"
    if figure.low is not None and training.n_heldout:
        told += f", 95 % interval {percent_interval(figure)} for {training.n_heldout:,} held-out images"
    return [f"{told}{_beside(best)}."]


def _least(found: Sequence[Training], cost: str) -> list[str]:
    least = cheapest(found, cost)
    if least is None or (cost == "items" and len(found) == 1):
        return []
    word = {"items": "Fewest images", "joules": "Least energy"}[cost]
    amount = f"{cost_text(least.figure)} {UNITS[cost]}"
    label = escape(least.training.label)
    if least.is_first:
        return [f"{word} to the target: {amount}, with {label}."]
    return [f"To reach the target, {label} takes {amount}{_beside(least)}."]
