"""Sentences and tables of a finetuning report, as Markdown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from analysis.stats.estimate import Figure, known
from analysis.text import MISSING, escape, number, significant, table
from analysis.training import COSTS, Training, cheapest, cost_to, levels, most_accurate

MAX_ROWS = 200
_UNITS = {"seconds": "s of training", "items": "images", "joules": "J"}


def answer(found: Sequence[Training]) -> list[str]:
    """For each task: which training reached its target first, the best accuracy, and the least energy."""
    said = []
    for task, members in itertools.groupby(found, key=lambda t: t.task):
        of_task = list(members)
        sentences = [*_soonest(of_task), *_best(of_task), *_least(of_task, "items"), *_least(of_task, "joules")]
        said += [f"{escape(task)}: {sentence}" if task else sentence for sentence in sentences]
    return said


def _soonest(found: Sequence[Training]) -> list[str]:
    first = cheapest(found, "seconds")
    targets = sorted({t.target for t in found if t.target is not None})
    if not targets:
        return []
    told = " or ".join(f"{100 * target:g} %" for target in targets)
    if first is None:
        return [f"No training reached the target of {told}."]
    training, spent = first
    sentence = f"**{escape(training.label)}** is first at the target of {told}, after {cost_text(spent)} s of training"
    elsewhere = [cheapest([t for t in found if t.place == place], "seconds") for place in _places(found)]
    others = [other for other in elsewhere if other is not None and other[0].place != training.place]
    for other, theirs in others[:3]:
        times = (theirs.value or math.nan) / (spent.value or math.nan)
        sentence += (
            f"; on {escape(other.place)} the first, {escape(other.kind)}, takes {significant(times, 2)} times that"
        )
    return [f"{sentence}."]


def _places(found: Sequence[Training]) -> list[str]:
    return list(dict.fromkeys(t.place for t in found))


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
    return [f"{word} to the target: {cost_text(spent)} {_UNITS[cost]}, with {escape(training.label)}."]


def percent(figure: Figure) -> str:
    """A share in per cent with one decimal."""
    return MISSING if figure.value is None else f"{100 * figure.value:.1f}"


def percent_interval(figure: Figure) -> str:
    """Its interval in per cent."""
    if figure.low is None or figure.high is None:
        return MISSING
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def cost_text(spent: Figure | None) -> str:
    """What a level took, without the interval."""
    return MISSING if spent is None else number(spent.value)


def cost_interval(spent: Figure | None) -> str:
    """The interval of what a level took: ``12.2 to 20.3``, ``12.2 or more``."""
    if spent is None or spent.low is None or spent.high is None:
        return MISSING
    return f"{number(spent.low)} or more" if math.isinf(spent.high) else f"{number(spent.low)} to {number(spent.high)}"


def trainings_table(found: Sequence[Training]) -> str:
    """Every training: its accuracy, what its target took, its speed; at most ``MAX_ROWS``."""
    rows = []
    has_energy = any(t.target is not None and cost_to(t, t.target, "joules") is not None for t in found)
    for t in found[:MAX_ROWS]:
        spent = {cost: None if t.target is None else cost_to(t, t.target, cost) for cost in COSTS}
        rows.append([
            _name(t), percent(t.best), percent_interval(t.best), percent(t.final),
            MISSING if t.target is None else f"{100 * t.target:g}", cost_text(spent["seconds"]),
            cost_interval(spent["seconds"]), cost_text(spent["items"]),
            *([cost_text(spent["joules"])] if has_energy else []),
            number(known(t.row["throughput_items_per_s"])), number(known(t.row["measured_s"])), _epochs(t),
            "pruned" if t.is_pruned else "complete",
        ])  # fmt: skip
    headers = ["setting", "best accuracy (%)", "95 % interval (%)", "last accuracy (%)", "target (%)",
               "time to target (s)", "could be (s)", "images to target",
               *(["energy to target (J)"] if has_energy else []), "throughput (images/s)", "trained (s)", "epochs",
               "status"]  # fmt: skip
    return table(headers, rows) if rows else ""


def _epochs(training: Training) -> str:
    """Passes over the training items; of a pruned cell from its rounds."""
    epochs, n_train = known(training.row["epochs_run"]), known(training.row["n_train_items"])
    if epochs is None and n_train and training.items.size:
        epochs = float(training.items[-1]) / n_train
    return number(epochs)


def _name(training: Training) -> str:
    return escape(", ".join(word for word in (training.task, training.label) if word))


def level_tables(found: Sequence[Training]) -> list[tuple[str, str]]:
    """What each level of accuracy took, in time, images and joules: (what, table)."""
    made = []
    with_rounds = [t for t in found if t.accuracy.size][:MAX_ROWS]
    columns = levels(with_rounds) if with_rounds else []
    for cost, name in COSTS.items():
        shown = [[cost_to(t, level, cost) for level in columns] for t in with_rounds]
        rows = [
            [_name(t), *(cost_text(spent) for spent in own)]
            for t, own in zip(with_rounds, shown, strict=True)
            if any(spent is not None for spent in own)
        ]
        if rows:
            headers = ["setting", *(f"{100 * level:g} %" for level in columns)]
            made.append((name, table(headers, rows)))
    return made
