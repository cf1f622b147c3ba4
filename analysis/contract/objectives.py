"""What is judged: name, column, unit, direction, what a pruner is told, limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

Row = Mapping[str, Any]


Direction = Literal["maximize", "minimize"]


TASK_OPTIONS = ("pipeline", "tune", "augment", "scenario", "rate")
"""Options that say what the work is; cells that differ in them are never compared to choose or prune."""


def _memory_bytes(row: Row) -> float | None:
    """Peak memory that decides whether a cell fits: the device's, or the process's where the device has none."""
    device = row.get("device_peak_reserved_bytes") or row.get("device_peak_allocated_bytes")
    return device if device is not None else row.get("peak_rss_bytes")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that cells are judged by.

    Attributes:
        direction: ``maximize`` or ``minimize``.
        of_row: Its value in a finished row, or None.
        of_round: Its value in one round, or None; the second argument is the items per step.
        unit: For people.
    """

    direction: Direction
    of_row: Callable[[Row], float | None]
    of_round: Callable[[Row, int], float | None] | None
    unit: str


def _round_energy(entry: Row, _items_per_step: int) -> float | None:
    return None if entry.get("energy_j") is None or not entry["items"] else float(entry["energy_j"]) / entry["items"]


FIGURES: dict[str, Figure] = {
    "throughput": Figure(
        direction="maximize", unit="items/s", of_row=lambda row: row.get("throughput_items_per_s"),
        of_round=lambda entry, _: entry["throughput_items_per_s"],
    ),
    "latency": Figure(
        direction="minimize", unit="s", of_row=lambda row: row.get("step_median_s") or row.get("latency_p50_s"),
        of_round=lambda entry, per_step: entry["seconds"] * per_step / entry["items"],
    ),
    "energy_per_item": Figure(
        direction="minimize", unit="J", of_row=lambda row: row.get("energy_per_item_j"), of_round=_round_energy
    ),
    "accuracy": Figure(
        direction="maximize", unit="", of_row=lambda row: row.get("accuracy_best"),
        of_round=lambda entry, _: entry.get("accuracy"),
    ),
    "memory": Figure(direction="minimize", unit="B", of_row=_memory_bytes, of_round=None),
}  # fmt: skip


PRUNE_ON = tuple(name for name, figure in FIGURES.items() if figure.of_round is not None)


def _last(values: Sequence[float]) -> float:
    return values[-1]


_ESTIMATES: dict[str, Callable[[Sequence[float]], float]] = {
    "throughput": max, "latency": min, "energy_per_item": median
}  # fmt: skip


def reported_values(name: str, rounds: Sequence[Row], items_per_step: int, *, running: bool) -> dict[int, float]:
    """What a study is told of a cell's rounds: the number of rounds so far, and the figure.

    Args:
        name: A figure of ``PRUNE_ON``.
        rounds: Entries of the rounds table, in order.
        items_per_step: Items of one step.
        running: An estimate from the rounds so far; False for each round's own value, as Wilcoxon's test takes it.
            Accuracy is always the round's own. Throughput and latency are those of the best round, because what
            else a machine does only slows a round down, and with a median of few it would cost the best cell;
            energy is the median.
    """
    figure, values, told = FIGURES[name], [], {}
    assert figure.of_round is not None
    estimate = _ESTIMATES.get(name, _last) if running else _last
    for number, entry in enumerate(rounds, start=1):
        value = figure.of_round(entry, items_per_step)
        if value is not None and math.isfinite(value):
            values.append(float(value))
            told[number] = float(estimate(values))
    return told


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a cell must hold to be recommended; None for no limit."""

    max_latency_ms: float | None = None
    max_memory_gb: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        """Raises: ValueError, with the option."""
        for name in ("max_latency_ms", "max_memory_gb"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"--{name.replace('_', '-')}: {value:g} must be over 0")
        if self.min_accuracy is not None and not 0 <= self.min_accuracy <= 1:
            raise ValueError(f"--min-accuracy: {self.min_accuracy:g} must lie between 0 and 1")

    def violations(self, row: Row) -> dict[str, float]:
        """By how much a row breaks each limit, in the limit's unit; zero or less where it holds (Optuna's convention).

        Latency is the 99th percentile where there are samples enough for one, else the median step. A figure that
        the row lacks breaks its limit: what is unknown cannot be recommended.
        """
        latency_s = row.get("latency_p99_s") or row.get("step_median_s")
        memory, accuracy = _memory_bytes(row), row.get("accuracy_best")
        found: dict[str, float] = {}
        if self.max_latency_ms is not None:
            found["latency_ms"] = math.inf if latency_s is None else latency_s * 1e3 - self.max_latency_ms
        if self.max_memory_gb is not None:
            found["memory_gb"] = math.inf if memory is None else memory / 1e9 - self.max_memory_gb
        if self.min_accuracy is not None:
            found["accuracy"] = math.inf if accuracy is None else self.min_accuracy - accuracy
        return found

    def held(self, row: Row) -> bool | None:
        """Whether every limit is held; None without limits."""
        found = self.violations(row)
        return all(v <= 0 for v in found.values()) if found else None
