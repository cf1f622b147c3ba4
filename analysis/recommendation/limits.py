"""Limits in words, and which cells of a frame hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.cells.rows import Row
from analysis.cells.usable import mask
from analysis.contract.limits import Limits, latency
from analysis.text import gibibytes, is_missing, listed, number, seconds_as_ms, share


def told(limits: Limits) -> str:
    """The limits in words; empty without any."""
    words = {
        "max_latency_ms": lambda value: f"{value:g} ms per step",
        "max_memory_gb": lambda value: f"{value:g} GB of memory ({gibibytes(1e9 * value)} GiB)",
        "max_energy_j": lambda value: f"{value:g} J per item",
        "min_accuracy": lambda value: f"at least {100 * value:g} % accuracy",
    }
    return listed([words[name](value) for name, value in limits.asked.items()])


def figures(limits: Limits, row: Row) -> str:
    """A cell's figures that the limits judge, in words."""
    step = latency(row)[0]
    reserved = "" if is_missing(row.get("device_peak_reserved_bytes")) else " reserved"
    words = {
        "max_latency_ms": lambda value: f"{step} {seconds_as_ms(None if value is None else value / 1e3)} ms",
        "max_memory_gb": lambda value: f"{number(value)} GB{reserved}",
        "max_energy_j": lambda value: f"{number(value)} J per item",
        "min_accuracy": lambda value: f"{share(value)} accuracy",
    }
    return ", ".join(words[name](limits.figure(row, name)) for name in limits.asked)


def within(limits: Limits, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells that are known to hold every limit; all of them where none was asked for."""
    return cells[mask(cells, limits.held)] if limits.asked else cells


def limits_of(descriptions: Sequence[Mapping[str, Any]]) -> Limits:
    """The limits that the sweeps themselves were asked to hold, where all were asked the same; else none."""
    asked = [Limits.of(description.get("config") or {}) for description in descriptions]
    return asked[0] if asked and all(one == asked[0] for one in asked) else Limits()
