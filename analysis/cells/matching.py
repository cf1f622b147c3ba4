"""Pair the cells of two or more sides of a comparison, and find what would make a pair unfair."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, CODE, JUDGING_COLUMNS, OPTION, WORK_COLUMNS
from analysis.cells.rows import Row, records
from analysis.contract.cells import OPTION_COLUMNS, SERVER

_IMPLIED = {"batch_size": ("items_per_step",), "n_devices": ("items_per_step",), "model": ("weights",)}
"""Work columns that must differ when the column named is the one compared across."""

Key = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One of the things compared: a machine, a version, a commit, or a value of the column compared across."""

    label: str
    trials: pd.DataFrame

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError(f"a side needs a label, got {self.label=}")

    @cached_property
    def options(self) -> pd.DataFrame:
        """The workload's own options, one column each, for the options that are no column of their own."""
        texts = self.trials["options"] if "options" in self.trials else pd.Series(None, index=self.trials.index)
        rows = [{f"{OPTION}{name}": value for name, value in _parse(text).items()} for text in texts]
        return pd.DataFrame(rows, index=self.trials.index)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """Trials and options side by side, null as None, numbers of equal value equal."""
        frame = pd.concat([self.trials, self.options], axis=1)
        # An array at once: pandas would take the columns one by one, and most are null.
        values = frame.to_numpy(dtype=object, copy=True)
        values[pd.isna(values)] = None
        return pd.DataFrame(values, frame.index, frame.columns, dtype=object)

    @cached_property
    def rows(self) -> list[Row]:
        """The facts as one dictionary a row."""
        return records(self.facts)

    def rows_by_key(self, columns: Sequence[str], statuses: Sequence[str]) -> dict[Key, list[int]]:
        """Positions of the rows with one of the statuses, by the values of the key columns."""
        status = self.trials["status"].to_numpy()
        values = [_values(self.facts, column) for column in columns]
        found: dict[Key, list[int]] = {}
        for position, key in enumerate(zip(*values, strict=True)):
            if status[position] in statuses:
                found.setdefault(key, []).append(position)
        return found


def _parse(text: object) -> dict[str, str]:
    """Options from a row's JSON, values as JSON so that lists can be compared; unreadable text is one option."""
    if not isinstance(text, str):
        return {}
    try:
        options = json.loads(text)
    except json.JSONDecodeError:
        options = None
    if not isinstance(options, dict):
        return {"options": text}
    own = {name: value for name, value in options.items() if name not in (*CELL_COLUMNS, *OPTION_COLUMNS)}
    return {name: json.dumps(value, sort_keys=True) for name, value in own.items()}


def split(side: Side, column: str) -> list[Side]:
    """One side for each value of a column, in order of first appearance; rows without a value are left out.

    ValueError where the column does not exist.
    """
    if column not in side.facts:
        known = ", ".join(map(str, side.facts.columns))
        raise ValueError(f"results have no column {column!r}; the columns are {known}")
    values = side.facts[column]
    return [
        Side(label=str(value), trials=side.trials[(values == value).to_numpy()])
        for value in dict.fromkeys(values) if value is not None
    ]  # fmt: skip


def key_columns(sides: Sequence[Side], across: Sequence[str] = ()) -> list[str]:
    """Columns whose values a cell must share with its partner.

    The cell's own columns, and of the options and the kind of node those that are an axis: they take several
    values for one workload within a side. An option with one value a side is no axis: where it differs
    between the sides the work differs, and that is for ``differences`` to say.
    """
    axes = [name for name in CELL_COLUMNS if any(name in side.facts for side in sides)]
    maybe = dict.fromkeys(["node", *(str(name) for side in sides for name in side.options.columns)])
    axes += [name for name in maybe if any(_is_axis(side.facts, name) for side in sides)]
    return [name for name in axes if name.removeprefix(OPTION) not in across]


def _is_axis(facts: pd.DataFrame, name: str) -> bool:
    if name not in facts or "workload" not in facts or facts[name].nunique(dropna=False) < 2:
        return False
    if name in JUDGING_COLUMNS:
        facts = facts[facts["scenario"] == SERVER] if "scenario" in facts else facts.head(0)
    of = ["workload", "model"] if name == CODE and "model" in facts else ["workload"]
    return bool(facts.groupby(of, dropna=False)[name].nunique(dropna=False).max() > 1)  # NaN where empty


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A fact in which matched cells of two sides differ, or that one side does not know (value None)."""

    column: str
    baseline_value: str | None
    other: str
    other_value: str | None
    n_cells: int

    @property
    def is_unknown(self) -> bool:
        return self.baseline_value is None or self.other_value is None


def differences(
    baseline: Side, other: Side, pairs: Mapping[Key, tuple[int, int]], key: Sequence[str], across: Sequence[str] = ()
) -> list[Difference]:
    """Facts of the work in which the paired rows differ, with how many pairs do.

    ``pairs`` are row positions on both sides by key. The columns of the key agree by construction, those ``across``
    which the sides are compared may differ.
    """
    implied = {name for column in across for name in _IMPLIED.get(column, ())}
    options = dict.fromkeys([*map(str, baseline.options.columns), *map(str, other.options.columns)])
    names = [n for n in (*WORK_COLUMNS, *options) if n not in {*key, *implied} and n.removeprefix(OPTION) not in across]
    found: Counter[tuple[str, str | None, str | None]] = Counter()
    for name in names:
        ours, theirs = _values(baseline.facts, name), _values(other.facts, name)
        for a, b in pairs.values():
            is_judging = name in JUDGING_COLUMNS and baseline.rows[a].get("scenario") != SERVER
            if ours[a] != theirs[b] and not is_judging:
                found[name, _text(ours[a]), _text(theirs[b])] += 1
    return [
        Difference(column=name, baseline_value=a, other=other.label, other_value=b, n_cells=n)
        for (name, a, b), n in found.items()
    ]


def _values(facts: pd.DataFrame, name: str) -> list[Any]:
    return facts[name].tolist() if name in facts else [None] * len(facts)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
