"""Pairs of cells that differ in one axis alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.columns import OPTION, THROUGHPUT
from analysis.cells.identity import stratum_columns
from analysis.cells.naming import PLAIN, varying
from analysis.cells.ranking import speed, widened
from analysis.cells.rows import Row, complete, records
from analysis.contract.cells import SERVER
from analysis.contract.runs import SPEED_SD
from analysis.stats.estimate import Figure, known, ratio
from analysis.stats.told_apart import MIN_CHANGE, Verdict, verdict

AXES = ("device", "precision", "compile", "implementation", "runtime", "memory_format", "feed", "allocator",
        "batch_size", "threads", "n_devices", "parallel", "learning_rate")  # fmt: skip
"""What a user can choose, in the order in which it is told; options of a workload that are an axis follow."""
NUMBERS = ("batch_size", "threads", "n_devices", "learning_rate")
FIRST = {"precision": "fp32", "device": "cpu", **PLAIN}
"""What the other values of an axis are held against, where it was measured."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell with a setting, the same without it, and the ratio of their speeds."""

    over: Row
    under: Row
    ratio: Figure

    @property
    def verdict(self) -> Verdict:
        """Of speeds without an interval differences under ``MIN_CHANGE`` are not taken for real.

        Those of several runs have none where these differ too much to tell anything.
        """
        found = self.ratio
        if found.low is None and any(known(row.get(SPEED_SD)) is not None for row in (self.over, self.under)):
            return verdict(found)
        if found.value is not None and found.low is None and found.high is None:
            found = Figure(value=found.value, low=found.value / (1 + MIN_CHANGE), high=found.value * (1 + MIN_CHANGE))
        return verdict(found)


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two values of an axis, and all pairs of cells that differ in nothing else."""

    axis: str
    value: object
    base: object
    pairs: list[Pair]


def contrasts(frame: pd.DataFrame) -> list[Contrast]:
    """Each value of each axis against the plain one, as far as there are pairs; of servers there are none.

    ``frame`` is one of ``identity.with_identity``; a server's rate is what was asked for and no speed.
    """
    cells = complete(frame)
    cells = cells[(cells["scenario"] != SERVER) & (cells[THROUGHPUT[0]] > 0)]
    options = [str(c) for c in cells if str(c).startswith(OPTION)]
    names = list(dict.fromkeys([*stratum_columns(cells), "batch_size", *AXES, *options]))
    rows = records(cells)
    found = []
    for axis in varying(cells, [*AXES, *options]):
        alike = [name for name in names if name != axis and name in cells]
        found += _of_axis(axis, alike, rows)
    return found


def _of_axis(axis: str, alike: Sequence[str], rows: Sequence[Row]) -> list[Contrast]:
    groups: dict[tuple[str, ...], dict[object, Row]] = {}
    for row in rows:
        value = row.get(axis)
        if value is not None and value == value:  # noqa: PLR0124 # NaN
            groups.setdefault(tuple(str(row.get(name)) for name in alike), {}).setdefault(value, row)
    values = list(dict.fromkeys(value for group in groups.values() for value in group))
    base = _base(axis, values)
    found = []
    for value in (value for value in values if value != base):
        pairs = [_pair(group[value], group[base]) for group in groups.values() if value in group and base in group]
        if pairs:
            found.append(Contrast(axis=axis, value=value, base=base, pairs=pairs))
    return found


def _base(axis: str, values: Sequence[object]) -> object:
    if axis in NUMBERS:
        return min(values, key=lambda value: float(str(value)))
    return FIRST[axis] if FIRST.get(axis) in values else values[0]


def _pair(over: Row, under: Row) -> Pair:
    return Pair(over=over, under=under, ratio=widened(ratio(speed(over), speed(under)), over, under))
