"""What each axis buys as a table: one line a setting, with the interval, how often, and where it differs."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.columns import OPTION
from analysis.cells.naming import spoken
from analysis.page import columns
from analysis.recommendation.axes.effects import Effect, Interaction
from analysis.text import MISSING, escape, significant

MAX_INTERACTIONS = 2
"""Interactions named of one setting."""


def effects_table(found: Sequence[Effect]) -> str:
    """One row for each effect; empty without any."""
    has_accuracy = any(one.accuracy_change is not None for one in found)
    has_energy = any(one.energy_ratio is not None for one in found)
    optional = [
        (any(one.memory_ratio is not None for one in found), "peak memory", lambda one: _times(one.memory_ratio)),
        (has_energy, "energy per item", lambda one: _times(one.energy_ratio)),
        (has_accuracy, "accuracy (points)", lambda one: _points(one.accuracy_change)),
    ]
    return columns.column_table(found, [
        columns.Column("axis", lambda one: escape(axis_name(one.contrast.axis))),
        columns.Column("setting", setting_name),
        columns.estimated("speed", lambda one: one.ratio),
        columns.Column("verdict", lambda one: one.verdict),
        columns.Column("pairs", lambda one: f"{one.n:,}"),
        columns.Column("faster in", lambda one: f"{one.count('faster'):,}"),
        columns.Column("slower in", lambda one: f"{one.count('slower'):,}"),
        *(columns.Column(title, show) for is_known, title, show in optional if is_known),
        columns.Column("where it differs", lambda one: escape(told_interactions(one))),
    ], n_left=2)  # fmt: skip


def sentence(one: Effect) -> str:
    """``compile default over none: 1.41x (1.20 to 1.80), faster in 22 of 24 pairs; hurts sobel (0.80x)``; as it is."""
    name = f"{axis_name(one.contrast.axis)} {plain(one.contrast.value)} over {plain(one.contrast.base)}"
    told = f"{name}: {one.ratio.factor_text}, {often(one)}"
    where = told_interactions(one)
    return f"{told}; {where}" if where else told


def often(one: Effect) -> str:
    """``faster in 22, slower in 1 of 24 pairs``; says so where no pair clearly differs."""
    counts = [(word, one.count(word)) for word in ("faster", "slower")]
    told = ", ".join(f"{word} in {n:,}" for word, n in counts if n) or "no clear difference in any"
    return f"{told} of {one.n:,} pair{'' if one.n == 1 else 's'}"


def axis_name(axis: str) -> str:
    """An axis in words."""
    return axis.replace("_", " ").removeprefix(OPTION)


def setting_name(one: Effect) -> str:
    """``bf16 over fp32``."""
    return escape(f"{plain(one.contrast.value)} over {plain(one.contrast.base)}")


def plain(value: object) -> str:
    """A setting's value as a reader writes it."""
    return f"{value:,g}" if isinstance(value, int | float) else str(value)


def told_interactions(one: Effect) -> str:
    """``hurts sobel (0.80x); more at batch 1 (2.40x)``: where the effect clearly differs; not escaped."""
    said = [_told(entry) for entry in one.interactions[:MAX_INTERACTIONS]]
    left = len(one.interactions) - len(said)
    return "; ".join([*said, f"{left:,} more"] if left > 0 else said)


def _told(entry: Interaction) -> str:
    name = spoken(entry.column, entry.value) or str(entry.value)
    word = "hurts" if entry.verdict == "slower" else "more with" if entry.is_more else "less with"
    return f"{word} {name} ({entry.ratio.text}x)"


def _times(value: float | None) -> str:
    return MISSING if value is None else f"{significant(value)}x"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:+.1f}"
