"""The tables of the report on finetuning, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis.contract.runs import ACCURACY_SD
from analysis.page.columns import Column, column_table
from analysis.stats.estimate import Figure, known
from analysis.subjects.finetune.quantities import COSTS, Training, cost_to, cost_to_target, levels, with_rounds
from analysis.text import MISSING, escape, joined, number, seconds_as_ms, share

MAX_ROWS = 200
UNITS = {"seconds": "s of training", "items": "images", "joules": "J"}


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
    """Every training: its accuracy, what its target took, its speed."""
    spread = Column("standard deviation between runs", lambda t: share(t.row.get(ACCURACY_SD)))
    energy = Column("energy to target (J)", lambda t: cost_text(cost_to_target(t, "joules")))
    return column_table(found, [
        Column("setting", _name),
        Column("best accuracy (%)", lambda t: percent(t.best)),
        Column("95 % interval (%)", lambda t: percent_interval(t.best)),
        *([spread] if any(known(t.row.get(ACCURACY_SD)) for t in found) else []),
        Column("last accuracy (%)", lambda t: percent(t.final)),
        Column("target (%)", lambda t: MISSING if t.target is None else f"{100 * t.target:g}"),
        Column("time to target (s)", lambda t: cost_text(cost_to_target(t, "seconds"))),
        Column("possible range (s)", lambda t: cost_interval(cost_to_target(t, "seconds"))),
        Column("images to target", lambda t: cost_text(cost_to_target(t, "items"))),
        *([energy] if any(cost_to_target(t, "joules") is not None for t in found) else []),
        Column("throughput (images/s)", lambda t: number(known(t.row["throughput_items_per_s"]))),
        Column("median step (ms)", lambda t: seconds_as_ms(t.row["step_median_s"])),
        Column("trained (s)", lambda t: number(known(t.row["measured_s"]))),
        Column("epochs", _epochs),
        Column("status", lambda t: "pruned" if t.is_pruned else "complete"),
    ], max_rows=MAX_ROWS)  # fmt: skip


def _epochs(training: Training) -> str:
    """Passes over the training items; of a pruned cell from its rounds."""
    epochs, n_train = known(training.row["epochs_run"]), known(training.row["n_train_items"])
    if epochs is None and n_train and training.items.size:
        epochs = float(training.items[-1]) / n_train
    return number(epochs)


def _name(training: Training) -> str:
    return escape(joined(training.task, training.label, training.learned and f"learned {training.learned}"))


def level_tables(found: Sequence[Training]) -> list[tuple[str, str]]:
    """What each level of accuracy took, in time, images and joules: (what, table)."""
    scored = with_rounds(found)
    return [(name, text) for cost, name in COSTS.items() if (text := _level_table(scored, cost))]


def _level_table(scored: Sequence[Training], cost: str) -> str:
    reached = levels(scored)
    columns = [Column(f"{100 * level:g} %", lambda t, level=level: cost_text(cost_to(t, level, cost)))
               for level in reached]  # fmt: skip
    known_of = [t for t in scored if any(cost_to(t, level, cost) is not None for level in reached)]
    return column_table(known_of, [Column("setting", _name), *columns], max_rows=MAX_ROWS)
