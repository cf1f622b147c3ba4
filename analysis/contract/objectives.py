"""What a sweep can make best or prune on: name, column, unit, direction, and what a pruner is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from statistics import median
from typing import Literal

from analysis.contract.cells import Row, known

Direction = Literal["maximize", "minimize"]
_last = itemgetter(-1)


def memory_bytes(row: Row) -> float | None:
    """Peak memory that decides whether a cell fits.

    What the device's allocator reserved, where unknown what was in tensors, and the process's where the device has no
    memory of its own.
    """
    columns = ("device_peak_reserved_bytes", "device_peak_allocated_bytes", "peak_rss_bytes")
    return next((value for name in columns if (value := known(row.get(name)))), None)


def first_of(*names: str) -> Callable[[Row], float | None]:
    """The first of some columns that is known."""
    return lambda row: next((value for name in names if (value := known(row.get(name))) is not None), None)


def learned_accuracy(row: Row) -> float | None:
    """The best held-out accuracy; None of a training that learned one class only or nothing, whose accuracy is none."""
    return None if isinstance(row.get("learned"), str) else known(row.get("accuracy_best"))


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A figure that cells are judged by: ``title`` is of tables and axes, ``scale`` from ``unit`` to the title's."""

    is_lower_better: bool
    unit: str
    title: str
    scale: float = 1.0
    of_row: Callable[[Row], float | None]
    of_round: Callable[[Row, float], float | None] | None = None
    """Its value in one round, the second argument being the items per step; None where no round has one."""
    so_far: Callable[[Sequence[float]], float] = _last
    """A running cell's figure from its rounds' values. Of speed that of the best round, because what else a machine
    does only slows a round down, and with a median of few it would cost the best cell."""
    round_title: str = ""  # of the values of of_round, on axes

    @property
    def direction(self) -> Direction:
        """The direction as Optuna has it."""
        return "minimize" if self.is_lower_better else "maximize"

    def gain(self, value: float) -> float:
        """The value so that more is better."""
        return -value if self.is_lower_better else value


def _per_items(entry: Row, column: str, n: float) -> float | None:
    """What ``n`` items took of a round's seconds or energy."""
    taken, items = known(entry.get(column)), known(entry.get("items"))
    return taken * n / items if taken is not None and items else None


def _accuracy_of_round(entry: Row, _: float) -> float | None:
    """A round's accuracy; of one answer to everything that of chance, whatever share of the images it fits."""
    is_one_answer = known(entry.get("n_classes_answered")) == 1
    return known(entry.get("balanced_accuracy" if is_one_answer else "accuracy"))


OBJECTIVES = {
    "throughput": Objective(
        is_lower_better=False, unit="items/s", title="throughput (items/s)", of_row=first_of("throughput_items_per_s"),
        of_round=lambda entry, _: known(entry.get("throughput_items_per_s")), so_far=max, round_title="throughput",
    ),
    "latency": Objective(
        is_lower_better=True, unit="s", title="median step (ms)", scale=1e3,
        of_row=first_of("step_median_s", "latency_p50_s"),
        of_round=lambda entry, items_per_step: _per_items(entry, "seconds", items_per_step), so_far=min,
        round_title="step",
    ),
    "energy_per_item": Objective(
        is_lower_better=True, unit="J/item", title="energy (J/item)", of_row=first_of("energy_per_item_j"),
        of_round=lambda entry, _: _per_items(entry, "energy_j", 1), so_far=median, round_title="energy per item",
    ),
    "accuracy": Objective(
        is_lower_better=False, unit="", title="best accuracy (%)", scale=100.0, of_row=learned_accuracy,
        of_round=_accuracy_of_round, round_title="held-out accuracy",
    ),
    "memory": Objective(
        is_lower_better=True, unit="B", title="peak memory (GiB)", scale=2.0**-30, of_row=memory_bytes
    ),
}  # fmt: skip
PRUNE_ON = tuple(name for name, objective in OBJECTIVES.items() if objective.of_round is not None)


def told_values(name: str, rounds: Sequence[Row], items_per_step: float, *, running: bool) -> dict[int, float]:
    """What a pruner on ``name``, one of ``PRUNE_ON``, is told of a cell's rounds: how many so far, and the figure.

    That is an estimate from the rounds so far if ``running``, else each round's own, as Wilcoxon's test takes it.
    """
    objective, values, told = OBJECTIVES[name], [], {}
    assert objective.of_round is not None
    for number, entry in enumerate(rounds, start=1):
        value = objective.of_round(entry, items_per_step)
        if value is not None:
            values.append(value)
            told[number] = float((objective.so_far if running else _last)(values))
    return told
