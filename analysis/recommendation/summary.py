"""``summary.json`` beside the report: what it says, for programs. ``docs/summary.schema.json`` describes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from analysis.cells.columns import OPTION
from analysis.cells.money import COST, GCO2, Prices
from analysis.cells.naming import present, words_of
from analysis.cells.ranking import speed, step
from analysis.cells.rows import Row, peak_bytes, status_counts
from analysis.contract.cells import SETTINGS, TASK_COLUMNS
from analysis.contract.choice import doubts
from analysis.contract.limits import Limits
from analysis.contract.objectives import learned_accuracy
from analysis.contract.runs import N_RUNS, SPEED_SD
from analysis.page.caveats.caveat import Caveat
from analysis.page.caveats.machines import VERSIONS
from analysis.recommendation.axes.effects import Effect
from analysis.recommendation.axes.tables import axis_name
from analysis.recommendation.recommend import Task, choices
from analysis.stats.estimate import known

SCHEMA = "accelsweep-summary/1"
VERSIONED = {**VERSIONS, "driver_version": "drivers"}
PLAIN_FIGURES = ("latency_p99_s", "energy_per_item_j", "items_per_j", "time_to_target_s", "energy_to_target_j",
                 "compile_s", "top1_agreement_ratio", COST, GCO2)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the page says that its tables do not: the answer's sentences are Markdown."""

    title: str
    answer: Sequence[str]
    caveats: Sequence[Caveat]
    bought: Sequence[Effect]
    sweeps: Sequence[str]
    limits: Limits
    prices: Prices


def summary(frame: pd.DataFrame, held: Sequence[Task], told: Told) -> dict[str, Any]:
    """What a report says, as plain values that JSON has; ``held`` are the tasks with the cells within the limits."""
    return {
        "schema": SCHEMA,
        "title": told.title,
        "sweeps": list(told.sweeps),
        "cells": status_counts(frame),
        "limits": dict(told.limits.asked),
        "prices": {name: price for name, price in asdict(told.prices).items() if price is not None},
        "versions": {name: _words(frame, column) for column, name in VERSIONED.items()},
        "devices": {name: _words(frame, column) for column, name in (("device", "types"), ("device_name", "names"))},
        "answer": list(told.answer),
        "recommended": [_recommended(row, task) for task in held for row in choices(task)],
        "axes": [_axis(one) for one in told.bought],
        "caveats": [{"text": c.text, "weight": round(c.weight, 3), "cells": c.keys} for c in told.caveats],
    }


def plain(value: Any) -> Any:
    """A value of a row as JSON has it."""
    if value is None or value != value or value is pd.NA:  # noqa: PLR0124 # NaN
        return None
    if isinstance(value, float):
        return None if math.isinf(value) else int(value) if value.is_integer() else value
    return value.item() if hasattr(value, "item") else value


def _words(frame: pd.DataFrame, column: str) -> list[str]:
    return words_of(frame[column]) if column in frame else []


def _recommended(row: Row, task: Task) -> dict[str, Any]:
    cells = task.cells
    options = [str(c) for c in cells if str(c).startswith(OPTION)]
    settings = [*SETTINGS, *options, "machine", "node"]
    return {
        "task": {name: plain(row.get(name)) for name in TASK_COLUMNS},
        "best_for": [{"word": w.word, "told": w.told, "n_indistinguishable": w.n_rivals} for w in row["wants"]],
        "trial_key": str(row["trial_key"]),
        "sweep": plain(row.get("sweep")),
        "settings": {name.removeprefix(OPTION): plain(row.get(name)) for name in present(cells, settings)},
        "item": task.item,
        "throughput_items_per_s": asdict(speed(row)),
        "step_median_s": asdict(step(row)),
        "n_runs": int(known(row.get(N_RUNS)) or 1),
        "between_runs_sd_ratio": known(row.get(SPEED_SD)),
        "peak_memory_bytes": peak_bytes(row),
        "accuracy_best": learned_accuracy(row),
        **{name: known(row.get(name)) for name in PLAIN_FIGURES},
        "doubts": doubts(row),
    }


def _axis(one: Effect) -> dict[str, Any]:
    return {
        "axis": axis_name(one.contrast.axis),
        "setting": plain(one.contrast.value),
        "over": plain(one.contrast.base),
        "speed_ratio": asdict(one.ratio),
        "verdict": one.verdict,
        "n_pairs": one.n,
        "n_faster": one.count("faster"),
        "n_slower": one.count("slower"),
        "memory_ratio": one.memory_ratio,
        "energy_per_item_ratio": one.energy_ratio,
        "accuracy_change": one.accuracy_change,
        "otherwise": [
            {"column": axis_name(i.column), "value": plain(i.value), "speed_ratio": asdict(i.ratio),
             "verdict": i.verdict}
            for i in one.interactions
        ],
    }  # fmt: skip
