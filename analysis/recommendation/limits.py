"""Limits that a setting must hold to be recommended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from analysis.cells.rows import Row, extreme, latency_s, memory_bytes
from analysis.stats.estimate import known
from analysis.text import gibibytes, is_missing, number, seconds_as_ms, share

_LEAST_ACCURACY = 1e-9


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a cell must hold; None for no limit. A cell whose figure is unknown does not hold its limit.

    Attributes:
        max_latency_ms: Of the 99th percentile where samples are enough, else of the median step.
        max_memory_gb: Of peak memory, in 1e9 bytes: the device's where it counts its own, else the process's.
        max_energy_j: Per item.
        min_accuracy: Of the best held-out accuracy, from 0 to 1.
    """

    max_latency_ms: float | None = None
    max_memory_gb: float | None = None
    max_energy_j: float | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.asked.items():
            # The same values as the sweep's own limits (``sweeps/plan/search.py``), which a report is written within.
            if name == "min_accuracy" and not 0 <= value <= 1:
                raise ValueError(f"--min-accuracy: {value:g} must lie between 0 and 1")
            if name != "min_accuracy" and (not math.isfinite(value) or value <= 0):
                raise ValueError(f"--{name.replace('_', '-')}: {value:g} must be a number over 0")

    @property
    def asked(self) -> dict[str, float]:
        """The limits that were given, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def told(self) -> str:
        """The limits in words; empty without any."""
        words = []
        for name, value in self.asked.items():
            words.append(
                {
                    "max_latency_ms": f"{value:g} ms a step",
                    "max_memory_gb": f"{value:g} GB of memory ({gibibytes(1e9 * value)} GiB)",
                    "max_energy_j": f"{value:g} J per item",
                    "min_accuracy": f"at least {100 * value:g} % accuracy",
                }[name]
            )
        return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

    def excess(self, frame: pd.DataFrame) -> pd.DataFrame:
        """By which ratio each cell exceeds each limit: at most 1 where it holds, null where its figure is unknown."""
        measured = {
            "max_latency_ms": 1e3 * latency_s(frame),
            "max_memory_gb": memory_bytes(frame) / 1e9,
            "max_energy_j": frame["energy_per_item_j"],
        }
        found = {name: measured[name] / limit for name, limit in self.asked.items() if name in measured}
        if self.min_accuracy is not None:
            # 0 of an accuracy of 0 is held.
            found["min_accuracy"] = self.min_accuracy / frame["accuracy_best"].clip(lower=_LEAST_ACCURACY)
        return pd.DataFrame(found, index=frame.index)

    def held(self, frame: pd.DataFrame) -> pd.Series:
        """Which cells are known to hold every limit."""
        return (self.excess(frame) <= 1).all(axis=1)

    def nearest(self, frame: pd.DataFrame) -> Row | None:
        """The cell that misses its worst limit by the least; None where no cell's figures are all known."""
        excess = self.excess(frame)
        known = excess[excess.notna().all(axis=1)]
        return extreme(frame, known.max(axis=1), largest=False)

    def figures(self, row: Row) -> str:
        """A cell's figures that the limits are held against, in words."""
        tail = row.get("latency_p99_s")
        step = "median step" if is_missing(tail) else "p99"
        latency = seconds_as_ms(row.get("step_median_s") if is_missing(tail) else tail)
        memory, energy = known(row.get("device_peak_allocated_bytes")), known(row.get("energy_per_item_j"))
        memory = known(row.get("peak_rss_bytes")) if memory is None else memory
        words = {
            "max_latency_ms": f"{step} {latency} ms",
            "max_memory_gb": f"{number(None if memory is None else memory / 1e9)} GB",
            "max_energy_j": f"{number(energy)} J per item",
            "min_accuracy": f"{share(row.get('accuracy_best'))} accuracy",
        }
        return ", ".join(words[name] for name in self.asked)


def limits_of(descriptions: Sequence[Mapping[str, Any]]) -> Limits:
    """The limits that the sweeps themselves were asked to hold, where all were asked the same; else none."""
    known = {f.name for f in fields(Limits)}
    asked = []
    for description in descriptions:
        given = (description.get("config") or {}).get("limits") or {}
        asked.append({name: value for name, value in given.items() if name in known and value is not None})
    return Limits(**asked[0]) if asked and all(a == asked[0] for a in asked) else Limits()
