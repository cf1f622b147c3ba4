"""Figures of a row that contradict one another: which of them is null, and why. One rule for writer and reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.contract.cells import Row, known


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A column that another figure of the row bounds; the bound is a column's name or a number."""

    column: str
    note: str  # the column that says why it is null
    why: str
    least: str | float | None = None
    most: str | float | None = None


BOUNDS = (
    Bound(column="peak_power_w", least="mean_power_w", note="power_note", why="peak power under the mean"),
    Bound(column="idle_power_w", most="mean_power_w", note="power_note", why="idle power over the mean"),
    Bound(column="flop_share_ratio", most=1.0, note="limits_note", why="FLOP/s over the ceiling"),
    Bound(column="bandwidth_share_ratio", most=1.0, note="limits_note", why="bandwidth over the ceiling"),
)
"""The counters of energy outlast a sample of power, an idle device cannot take more than a busy one, and nothing
exceeds what the device can do."""
CEILING_AGAIN = "ceilings taken again"
"""The note of a cell that came out above its ceilings, which were then measured once more."""


def notes(*said: Any) -> str | None:
    """Notes of one column as one, each once; None without any."""
    found = dict.fromkeys(word for text in said if isinstance(text, str) for word in text.split(", "))
    return ", ".join(found) or None


def plausible(row: Row) -> dict[str, Any]:
    """What changes of a row so that it does not contradict itself: columns that become null, and their notes."""
    changed: dict[str, Any] = {}
    for bound in BOUNDS:
        value = known(row.get(bound.column))
        least, most = _end(row, bound.least), _end(row, bound.most)
        if value is not None and ((least is not None and value < least) or (most is not None and value > most)):
            changed[bound.column] = None
            changed[bound.note] = notes(changed.get(bound.note, row.get(bound.note)), bound.why)
    return changed


def _end(row: Mapping[str, Any], end: str | float | None) -> float | None:
    return known(row.get(end)) if isinstance(end, str) else end
