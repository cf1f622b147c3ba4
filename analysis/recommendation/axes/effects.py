"""What a setting gives over the plain one: how much, how often, where more and where less."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, OPTION
from analysis.cells.naming import varying
from analysis.cells.ranking import widened
from analysis.cells.rows import Row, are_peaks_comparable, peak_bytes
from analysis.contract.objectives import learned_accuracy
from analysis.contract.runs import SPEEDS
from analysis.recommendation.axes.pairs import NUMBERS, Contrast, Pair, contrasts
from analysis.stats.estimate import Figure, known
from analysis.stats.paired import contrast, mean_ratio
from analysis.stats.significance import holm
from analysis.stats.told_apart import MIN_CHANGE, Verdict, verdict

MAX_P = 0.05
"""Level, over all groups of a contrast, at which its effect is said to be another one there."""
MIN_GROUP = 2
MAX_VALUES = 2
"""Values of a number that are told: that with the largest effect, and the largest."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """A group of a contrast's pairs, by the value of another column, in which the effect is another one."""

    column: str
    value: object
    ratio: Figure
    is_more: bool

    @property
    def verdict(self) -> Verdict:
        return verdict(self.ratio)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A contrast with its mean ratio of speeds; of memory, energy per item and accuracy the mean changes, if known."""

    contrast: Contrast
    ratio: Figure
    interactions: list[Interaction]
    memory_ratio: float | None
    energy_ratio: float | None
    accuracy_change: float | None

    @property
    def verdict(self) -> Verdict:
        return verdict(self.ratio)

    @property
    def n(self) -> int:
        return len(self.contrast.pairs)

    def count(self, word: Verdict) -> int:
        """In how many pairs the verdict is this."""
        return sum(pair.verdict == word for pair in self.contrast.pairs)


def effects(frame: pd.DataFrame) -> list[Effect]:
    """Each value of each axis of a sweep against the plain one; of numbers those that say most."""
    by_axis: dict[str, list[Effect]] = {}
    for found in contrasts(frame):
        by_axis.setdefault(found.axis, []).append(_effect(found))
    return [one for axis, of_axis in by_axis.items() for one in _telling(axis, of_axis)]


def _telling(axis: str, found: Sequence[Effect]) -> list[Effect]:
    if axis not in NUMBERS or len(found) <= MAX_VALUES:
        return list(found)
    best = max(found, key=lambda one: one.ratio.value or 0.0)
    largest = max(found, key=lambda one: float(str(one.contrast.value)))
    return [one for one in found if one in (best, largest)]


def _effect(found: Contrast) -> Effect:
    peaks = [pair for pair in found.pairs if are_peaks_comparable(pair.over, pair.under)]
    is_device, covers = found.axis == "device", "energy_domain"
    counted = [pair for pair in found.pairs if not is_device or pair.over.get(covers) == pair.under.get(covers)]
    return Effect(
        contrast=found, ratio=_mean(found.pairs), interactions=_interactions(found),
        memory_ratio=_mean_of([] if is_device else peaks, peak_bytes),
        energy_ratio=_mean_of(counted, lambda row: known(row.get("energy_per_item_j"))),
        accuracy_change=_accuracy(found.pairs),
    )  # fmt: skip


def _mean(pairs: Sequence[Pair]) -> Figure:
    runs = [(pair.over[SPEEDS], pair.under[SPEEDS]) for pair in pairs]
    is_repeated = all(isinstance(speeds, tuple) for both in runs for speeds in both)
    found = mean_ratio([pair.ratio for pair in pairs], runs if is_repeated else ())
    return widened(found, *(row for pair in pairs for row in (pair.over, pair.under)))


def _interactions(found: Contrast) -> list[Interaction]:
    """Groups of pairs whose mean effect differs from that of the others, clearly and by over ``MIN_CHANGE``."""
    rows = pd.DataFrame([pair.under for pair in found.pairs])
    options = [str(c) for c in rows if str(c).startswith(OPTION)]
    groups = [
        (column, value, np.asarray(rows[column] == value))
        for column in varying(rows, [c for c in (*CELL_COLUMNS, *options) if c != found.axis])
        for value in dict.fromkeys(rows[column].dropna())
    ]
    ratios = np.array([pair.ratio.value or np.nan for pair in found.pairs])
    able = [(c, v, mask) for c, v, mask in groups if MIN_GROUP <= mask.sum() <= len(ratios) - MIN_GROUP]
    tested = [contrast(ratios[mask].tolist(), ratios[~mask].tolist()) for _, _, mask in able]
    corrected = holm(np.array([p for _, p in tested])) if tested else np.empty(0)
    said = []
    for (column, value, mask), (difference, _), p in zip(able, tested, corrected, strict=True):
        word = verdict(difference, is_certain=bool(p < MAX_P), least=MIN_CHANGE)
        if word in ("faster", "slower"):
            inside = [pair for pair, is_in in zip(found.pairs, mask, strict=True) if is_in]
            entry = Interaction(column=column, value=value, ratio=_mean(inside), is_more=word == "faster")
            said.append((abs(difference.logs[0]), entry))
    ranked = [entry for _, entry in sorted(said, key=lambda pair: -pair[0])]
    return _one_a_column(ranked)


def _one_a_column(ranked: Sequence[Interaction]) -> list[Interaction]:
    """Of each column the group in which the effect differs most: of two values the other one is told by it."""
    first: dict[str, Interaction] = {}
    for entry in ranked:
        first.setdefault(entry.column, entry)
    return list(first.values())


def _mean_of(pairs: Sequence[Pair], of_row: Callable[[Row], float | None]) -> float | None:
    """The geometric mean of the ratios of a figure, over the pairs that know it of both."""
    both = [(of_row(pair.over), of_row(pair.under)) for pair in pairs]
    ratios = [over / under for over, under in both if over and under]
    return statistics.geometric_mean(ratios) if ratios else None


def _accuracy(pairs: Sequence[Pair]) -> float | None:
    both = [(learned_accuracy(pair.over), learned_accuracy(pair.under)) for pair in pairs]
    changes = [over - under for over, under in both if over is not None and under is not None]
    return statistics.fmean(changes) if changes else None
