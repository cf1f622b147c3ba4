"""Limits that a cell must hold to be recommended: one rule for the sweep that searches and the pages that report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from analysis.contract.cells import Row, known
from analysis.contract.objectives import OBJECTIVES

R = TypeVar("R", bound=Row)
_LATENCIES = {
    "p99": "latency_p99_s", "upper bound of the p99": "latency_p99_high_s", "median step": "step_median_s",
}  # fmt: skip


def latency(row: Row) -> tuple[str, float | None]:
    """What ``within so many ms`` judges, everywhere: its name, and seconds.

    The 99th percentile; of a cell without one, whose single steps were too few or were not timed, the upper bound that
    a server's search has of it, or the median step.
    """
    found = ((name, known(row.get(column))) for name, column in _LATENCIES.items())
    return next(((name, seconds) for name, seconds in found if seconds is not None), ("median step", None))


_JUDGED = {
    "max_latency_ms": (lambda row: latency(row)[1], 1e3),
    "max_memory_gb": (OBJECTIVES["memory"].of_row, 1e-9), "max_energy_j": (OBJECTIVES["energy_per_item"].of_row, 1.0),
    "min_accuracy": (OBJECTIVES["accuracy"].of_row, 1.0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a cell must hold; None for no limit.

    What is unknown cannot be recommended: a cell that lacks a figure does not hold the limit on it.
    """

    max_latency_ms: float | None = None  # of ``latency``
    max_memory_gb: float | None = None  # of objectives.memory_bytes, in 1e9 bytes
    max_energy_j: float | None = None  # per item
    min_accuracy: float | None = None  # the best held-out one, from 0 to 1

    def __post_init__(self) -> None:
        """Raises: ValueError, with the option."""
        for name, value in self.asked.items():
            option = f"--{name.replace('_', '-')}"
            if name == "min_accuracy" and not 0 <= value <= 1:
                raise ValueError(f"{option}: {value:g} must lie between 0 and 1")
            if name != "min_accuracy" and not 0 < value < math.inf:
                raise ValueError(f"{option}: {value:g} must be a number over 0")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Limits:
        """The limits of a sweep's configuration as ``sweep.json`` has it; of an older one without them none."""
        given, names = config.get("limits") or {}, {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in names})

    @property
    def asked(self) -> dict[str, float]:
        """The limits that were given, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    @staticmethod
    def figure(row: Row, name: str) -> float | None:
        """What the limit of this name judges, in the limit's unit; None where unknown."""
        read, scale = _JUDGED[name]
        value = read(row)
        return None if value is None else value * scale

    def violations(self, row: Row) -> dict[str, float]:
        """By how much a row breaks each limit, in its unit: at most 0 where it holds (as in Optuna), inf if unknown."""
        found = {}
        for name, limit in self.asked.items():
            value, sign = self.figure(row, name), -1.0 if name.startswith("min_") else 1.0
            found[name.split("_", 1)[1]] = math.inf if value is None else sign * (value - limit)
        return found

    def held(self, row: Row) -> bool | None:
        """Whether every limit is held; None without limits."""
        found = self.violations(row)
        return all(v <= 0 for v in found.values()) if found else None

    def nearest(self, rows: Iterable[R]) -> R | None:
        """The row that misses its worst limit by the smallest ratio; None where no row's figures are all known."""
        known_all = [row for row in rows if math.inf not in self.violations(row).values()]
        return min(known_all, key=self._worst, default=None)

    def _worst(self, row: Row) -> float:
        ratios = []
        for name, limit in self.asked.items():
            value = self.figure(row, name) or 0.0
            over, under = (limit, value) if name.startswith("min_") else (value, limit)
            ratios.append(over / under if under else math.inf if over else 0.0)
        return max(ratios, default=0.0)
