"""Sentences and tables of a finetuning report, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.stats.estimate import Figure, known
from analysis.subjects.finetune.quantities import COSTS, Training, cost_to, levels
from analysis.text import MISSING, escape, number, table

MAX_ROWS = 200
_UNITS = {"seconds": "s of training", "items": "images", "joules": "J"}


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
