"""Numbers of trainings: held-out accuracy over seconds, images and joules, and what it takes to reach a level."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.groups import groups
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import in_words, label, varying
from analysis.cells.ranking import accuracy, intervals_part
from analysis.cells.rows import Row, records
from analysis.contract.cells import TASK_COLUMNS
from analysis.contract.runs import ACCURACY_SD
from analysis.stats.estimate import Figure, known
from analysis.stats.shares import share_of, wilson
from analysis.stats.told_apart import MIN_CHANGE
from analysis.text import is_missing

Floats = NDArray[np.float64]
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Levels of accuracy that trainings are compared at, besides the target asked for."""
COSTS = {"seconds": "training time (s)", "items": "images", "joules": "energy (J)"}
"""What an accuracy takes: attribute of ``Training`` and its name."""
COLUMNS = ("accuracy_best", "accuracy_final", "target_accuracy", "time_to_target_s", "energy_to_target_j",
           "n_heldout_items", "n_train_items", "epochs_run", "throughput_items_per_s", "measured_s")  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """One cell that trained, with its rounds; arrays have shape (n_rounds,), (0,) where rounds are missing."""

    task: str  # what is done, in words; empty where all cells do the same
    label: str  # the settings that tell it from the task's others
    place: str  # of these the device, and the machine or the run where there are several
    kind: str  # the rest of them
    row: Row
    seconds: Floats  # training time until the end of each round, evaluation left out
    items: Floats  # trained on until then
    joules: Floats  # until then; NaN from the first round on whose energy is unknown
    accuracy: Floats  # held-out, after each round, 0 to 1
    counted: Floats  # that, NaN where one class was answered to everything, and everywhere if learned is told

    @property
    def is_pruned(self) -> bool:
        return bool(self.row["status"] == "pruned")

    @property
    def learned(self) -> str | None:
        """``one class only`` or ``nothing`` of a training whose accuracy is none; None of any other."""
        return None if is_missing(told := self.row.get("learned")) else str(told)

    @property
    def target(self) -> float | None:
        """The accuracy asked for."""
        return known(self.row["target_accuracy"])

    @property
    def n_heldout(self) -> int | None:
        """Held-out items that the accuracy is a share of."""
        return None if (n := known(self.row["n_heldout_items"])) is None else int(n)

    @cached_property
    def best(self) -> Figure:
        """The best accuracy of any round, with its interval; that of the row where rounds are missing.

        Of several seeds the mean, with an interval over them by Student's t.
        """
        if known(self.row.get(ACCURACY_SD)):
            return accuracy(self.row)
        told = self.counted[np.isfinite(self.counted)]
        told = told if told.size else self.accuracy
        value = float(told.max()) if told.size else known(self.row["accuracy_best"])
        return share_of(value, self.n_heldout)

    @property
    def final(self) -> Figure:
        """The accuracy after the last round."""
        has_curve = self.accuracy.size and not known(self.row.get(ACCURACY_SD))
        value = float(self.accuracy[-1]) if has_curve else known(self.row["accuracy_final"])
        return share_of(value, self.n_heldout)


def with_rounds(found: Sequence[Training]) -> list[Training]:
    """The trainings whose rounds are known."""
    return [training for training in found if training.accuracy.size]


def trainings(frame: pd.DataFrame, rounds: pd.DataFrame) -> list[Training]:
    """Every cell that trained, pruned ones included, in the order of the rows; rounds of ``load_all_rounds``."""
    scored = rounds[rounds["accuracy"].notna()]
    curves = dict(list(scored.sort_values("round", kind="stable").groupby(["sweep", "trial_key"], sort=False)))
    whole = frame[frame["status"].isin(["complete", "pruned"])]
    has_rounds = np.array([key in curves for key in zip(whole["sweep"], whole["trial_key"], strict=True)], dtype=bool)
    trained = whole[has_rounds | whole["accuracy_best"].notna().to_numpy()]
    found = []
    # Whether the head or all of it is trained is a setting like any other.
    for task in groups(trained, varying(trained, [c for c in TASK_COLUMNS if c != "tune"])):
        names = [*stratum_columns(frame), "batch_size"]
        told = [c for c in names if c in {"device", "precision"} or c in varying(task.cells, names)]
        found += [
            _training(task.name, told, row, curves.get((row["sweep"], row["trial_key"]), scored.iloc[:0]))
            for row in records(task.cells)
        ]
    return found


def _training(task: str, told: Sequence[str], row: Row, curve: pd.DataFrame) -> Training:
    where = ("device", MACHINE, RUN)
    kind = in_words(row, [c for c in told if c not in where])
    columns = ("elapsed_s", "items", "energy_j", "accuracy", "n_classes_answered")
    seconds, items, joules, accuracy, answered = (curve[c].to_numpy(np.float64, na_value=np.nan) for c in columns)
    is_none = (answered == 1) | (not is_missing(row.get("learned")))
    return Training(
        task=task, label=label(row, told), place=label(row, where), kind=kind, row=row, seconds=seconds,
        items=items.cumsum(), joules=joules.cumsum(), accuracy=accuracy, counted=np.where(is_none, np.nan, accuracy),
    )  # fmt: skip


def cost_to(training: Training, level: float, cost: str) -> Figure | None:
    """What a training took to reach a level of accuracy; None if it did not, or if that is unknown.

    Reached means the first round after which the held-out accuracy is the level or more, and not by answering one class
    to everything; a training that learned nothing reaches nothing. The interval is by the
    accuracy's own: from the round before the first whose upper end reaches the level (it may have been reached at any
    time since) to the first whose lower end does, infinite where none does. None where the accuracy has no interval.
    """
    if not training.accuracy.size or (level == training.target and known(training.row.get(ACCURACY_SD))):
        return _cost_of_row(training, level, cost)
    spent = getattr(training, cost)
    at = _first(training.counted >= level)
    if at is None or math.isnan(spent[at]):
        return None
    if not training.n_heldout:
        return Figure(value=float(spent[at]))
    low, high = wilson(training.counted, training.n_heldout)
    surely, maybe = _first(low >= level), _first(high >= level) or 0
    return Figure(
        value=float(spent[at]), low=float(spent[maybe - 1]) if maybe else 0.0,
        high=math.inf if surely is None else float(spent[surely]),
    )  # fmt: skip


def _first(mask: NDArray[np.bool_]) -> int | None:
    found = np.flatnonzero(mask)
    return int(found[0]) if found.size else None


def _cost_of_row(training: Training, level: float, cost: str) -> Figure | None:
    column = {"seconds": "time_to_target_s", "joules": "energy_to_target_j"}.get(cost)
    value = known(training.row[column]) if column and level == training.target else None
    return None if value is None else Figure(value=value)


def cost_to_target(training: Training, cost: str) -> Figure | None:
    """The same for the accuracy that was asked for."""
    return None if training.target is None else cost_to(training, training.target, cost)


def cheapest(found: Sequence[Training], cost: str) -> Ranked | None:
    """The training that reached its target at the least cost, and those statistically indistinguishable from it.

    None where none did. A cost's own interval tells, and where there is none, under 5 % is no difference.
    """
    reached = [(training, spent) for training in found if (spent := cost_to_target(training, cost)) is not None]
    return _ranked(reached, _costs_more)


def _costs_more(best: Figure, other: Figure) -> bool:
    if best.high is not None and other.low is not None:
        return other.low > best.high
    return (other.value or 0.0) > (1 + MIN_CHANGE) * (best.value or 0.0)


def most_accurate(found: Sequence[Training]) -> Ranked | None:
    """The training of the best accuracy, of those that learned, and those whose interval overlaps its own."""
    scored = [(t, t.best) for t in found if t.learned is None and t.best.value is not None]
    by_accuracy = sorted(scored, key=lambda pair: -(pair[1].value or 0.0))
    return _ranked(by_accuracy, lambda best, other: intervals_part(best, other, 1.0), is_sorted=True)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The first of some trainings, its figure, those statistically indistinguishable from it, the number of others."""

    training: Training
    figure: Figure
    rivals: list[Training]
    n_others: int

    @property
    def is_first(self) -> bool:
        """Whether it may be called the first of several."""
        return self.n_others > 0 and not self.rivals


def _ranked(
    pairs: Sequence[tuple[Training, Figure]], beats: Callable[[Figure, Figure], bool], *, is_sorted: bool = False
) -> Ranked | None:
    ordered = list(pairs) if is_sorted else sorted(pairs, key=lambda pair: pair[1].value or 0.0)
    if not ordered:
        return None
    (training, figure), others = ordered[0], ordered[1:]
    rivals = [other for other, theirs in others if not beats(figure, theirs)]
    return Ranked(training=training, figure=figure, rivals=rivals, n_others=len(others))


def levels(found: Sequence[Training]) -> list[float]:
    """The four highest levels at most that a training reached, and the targets asked for."""
    top = max((t.best.value or 0.0 for t in found if t.learned is None), default=0.0)
    targets = {t.target for t in found if t.target is not None}
    reached = sorted({level for level in LEVELS if level <= top} - targets)
    return sorted([*reached[-4:], *targets])
