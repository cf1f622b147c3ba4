"""What a comparison found as JSON, for programs; ``docs/comparison.schema.json`` describes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from analysis.cells.rows import Row, records
from analysis.comparison.comparison import VERDICTS, Comparison

SCHEMA = "accelsweep-comparison/1"
_RATIOS = ("ratio", "ratio_low", "ratio_high")


def as_json(
    comparison: Comparison, sides: Sequence[str], *, exit_code: int, word: str, why: str | None
) -> dict[str, Any]:
    """The verdict with its exit code, and the cells, whole sides and outcomes that it rests on."""
    key = comparison.key
    return {
        "schema": SCHEMA,
        "baseline": sides[0],
        "sides": list(sides[1:]),
        "min_change": comparison.min_change,
        "verdict": word,
        "exit_code": exit_code,
        "why": why,
        "together": [
            {"side": row["side"], "n_cells": int(row["n_cells"]), "speed_ratio": _figure(row), "p": _plain(row["p"]),
             "verdict": row["verdict"], "counts": {name: int(row[name]) for name in VERDICTS}}
            for row in records(comparison.sides)
        ],
        "cells": [
            {"cell": _named(row, key), "side": row["side"], "speed_ratio": _figure(row), "p": _plain(row["p"]),
             "verdict": row["verdict"], "n_runs": int(row["n_runs"]), "energy_ratio": _plain(row["energy_ratio"]),
             "memory_ratio": _plain(row["memory_ratio"])}
            for row in records(comparison.cells)
        ],
        "outcomes": [
            {"cell": _named(row, key), "side": row["side"], "baseline_status": row["baseline_status"],
             "other_status": row["other_status"], "reason": _plain(row["reason"])}
            for row in records(comparison.outcomes)
        ],
    }  # fmt: skip


def _named(row: Row, key: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in key if (value := _plain(row[name])) is not None}


def _figure(row: Row) -> dict[str, float | None]:
    return dict(zip(("value", "low", "high"), (_plain(row[name]) for name in _RATIOS), strict=True))


def _plain(value: Any) -> Any:
    if value is None or value != value or (isinstance(value, float) and math.isinf(value)):  # noqa: PLR0124 # NaN
        return None
    return value.item() if hasattr(value, "item") else value
