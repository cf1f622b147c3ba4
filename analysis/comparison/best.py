"""The best each side can do with a piece of work: its fastest cell and its most frugal one, whatever the settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.matching import Difference, Key, Side, differences, key_columns
from analysis.cells.naming import label
from analysis.cells.rows import Row
from analysis.comparison.comparison import Pairs
from analysis.contract.cells import SERVER, SETTINGS, TASK_COLUMNS
from analysis.contract.choice import is_usable

_MEASURED = ("throughput_items_per_s", "top1_agreement_ratio", "accuracy_best", "n_compared")
_FIGURES = [
    "side",
    *SETTINGS,
    "item",
    *_MEASURED,
    "ratio",
    "ratio_low",
    "ratio_high",
    "untried",
    "items_per_j",
    "energy_domain",
]
_FIGURES += ["frugal_settings", "energy_ratio"]


def best_cells(sides: Sequence[Side], across: Sequence[str]) -> tuple[pd.DataFrame, list[Difference]]:
    """The fastest and the most frugal completed cell of each side, for all work that every side has completed.

    The first side is the baseline, and columns in ``across`` may differ.

    Returns:
        One row a piece of work and side: the work's columns, ``side``, the settings of the fastest cell (of servers
        the highest rate that they keep up with), its throughput, ``ratio`` to the baseline's fastest with its 95 %
        interval (over runs, of one run a side within it; NaN for the baseline itself and for servers whose rates were
        asked and not searched for), ``untried`` (settings of the two best that the other side was never measured with,
        in words), ``items_per_j`` of the most frugal cell with ``energy_domain`` and
        ``frugal_settings``, ``energy_ratio`` (items per joule over the baseline's; NaN where unknown, or where the
        counters cover different things) and the fastest cell's ``top1_agreement_ratio``; and the facts in which the
        fastest cells' work differs.
    """
    names = [name for name in TASK_COLUMNS if name not in across and any(name in side.facts for side in sides)]
    fastest = [_largest(side, names, THROUGHPUT[0], lambda _, row: is_usable(row)) for side in sides]
    frugal = [_most_frugal(side, names, best) for side, best in zip(sides, fastest, strict=True)]
    shared = [k for k in fastest[0] if all(k in other for other in fastest[1:])]
    rows: list[dict[str, Any]] = []
    paired = [Pairs.of(*((s, {k: of[k].runs for k in shared}) for s, of in ((sides[0], fastest[0]), (side, theirs))))
              for side, theirs in zip(sides, fastest, strict=True)]  # fmt: skip
    for k in shared:
        base = fastest[0][k]
        for i, side in enumerate(sides):
            best = fastest[i][k]
            figures = dict(zip(names, k, strict=True)) | {"side": side.label} | {n: best.row.get(n) for n in SETTINGS}
            figures |= {"item": best.row.get("item")} | {n: best.median(n) for n in _MEASURED}
            if i:
                figures |= _speed_ratio(base, best, paired[i], k) | {"untried": _untried(base, best, names, across)}
            rows.append(figures | _energy(frugal[0].get(k), frugal[i].get(k), across))
    found: list[Difference] = []
    for side, theirs in zip(sides[1:], fastest[1:], strict=True):
        pairs = {k: (fastest[0][k].runs[-1], theirs[k].runs[-1]) for k in shared}
        found += differences(sides[0], side, pairs, names, [*SETTINGS, *across, "seed"])
    return pd.DataFrame(rows, columns=[*names, *_FIGURES]), found


@dataclass(frozen=True)
class _Cell:
    """One cell of a side and all its runs, by their positions."""

    side: Side
    runs: list[int]
    n_known: int = 1  # cells of the same work and side whose figure is known, this one among them
    n_all: int = 1

    @property
    def row(self) -> Row:
        return self.side.rows[self.runs[-1]]

    def median(self, column: str) -> float:
        """Over the runs; the luckiest of several is no figure to plan with. NaN where none is known."""
        values = [self.side.rows[p].get(column) for p in self.runs]
        return statistics.median([float(v) for v in values if v is not None] or [math.nan])


def _most_frugal(side: Side, names: Sequence[str], fastest: dict[Key, _Cell]) -> dict[Key, _Cell]:
    """For each piece of work the cell with the most items per joule by the fastest one's kind of counter."""

    def is_comparable(k: Key, row: Row) -> bool:
        beside = fastest[k].row if k in fastest else {}
        domain = beside.get("energy_domain") if beside.get("items_per_j") else None
        return domain is None or row.get("energy_domain") == domain

    found = _largest(side, names, "items_per_j", is_comparable)
    # The one whose energy is known is the most frugal of nothing.
    return {work: cell for work, cell in found.items() if not cell.n_known == 1 < cell.n_all}


def _largest(side: Side, names: Sequence[str], figure: str, may: Callable[[Key, Row], bool]) -> dict[Key, _Cell]:
    """For each piece of work the completed cell whose median of the figure over the runs that may count is largest."""
    cells: dict[Key, list[_Cell]] = {}
    n_all: dict[Key, int] = {}
    for k, positions in side.rows_by_key([*names, *key_columns([side], names)], ["complete"]).items():
        work = k[: len(names)]
        n_all[work] = n_all.get(work, 0) + 1
        runs = [p for p in positions if side.rows[p].get(figure) and may(work, side.rows[p])]
        if runs:
            cells.setdefault(work, []).append(_Cell(side, runs))
    return {
        work: replace(max(found, key=lambda cell: cell.median(figure)), n_known=len(found), n_all=n_all[work])
        for work, found in cells.items()
    }


def _energy(base: _Cell | None, cell: _Cell | None, across: Sequence[str]) -> dict[str, Any]:
    if cell is None:
        return {}
    frugal, domain = cell.median("items_per_j"), cell.row.get("energy_domain")
    figures: dict[str, Any] = {"items_per_j": frugal, "energy_domain": domain}
    of = (
        ""
        if cell.n_known == cell.n_all
        else f", of the {cell.n_known} of {cell.n_all} cells with an energy measurement"
    )
    figures["frugal_settings"] = label(cell.row, SETTINGS) + of
    if base is None or base is cell:
        return figures
    if "energy_domain" in across or domain == base.row.get("energy_domain"):
        figures["energy_ratio"] = frugal / base.median("items_per_j")
    return figures


def _speed_ratio(base: _Cell, best: _Cell, pairs: Pairs, k: Key) -> dict[str, float | None]:
    if best.row.get("scenario") == SERVER:  # its samples are latencies, and a rate that was asked for is no result
        return {"ratio": best.median("max_rate_per_s") / base.median("max_rate_per_s")}
    found = pairs.ratio(k)
    if found.value is None:
        return {"ratio": best.median(THROUGHPUT[0]) / base.median(THROUGHPUT[0])}
    return {"ratio": found.value, "ratio_low": found.low, "ratio_high": found.high}


_TRIABLE = ("precision", "compile", "implementation", "runtime", "memory_format", "feed", "threads", "allocator")
"""Settings that every machine could have been measured with, unlike its devices and the batches that fit."""


def _untried(base: _Cell, best: _Cell, names: Sequence[str], across: Sequence[str]) -> str:
    """The settings of either best with which the other side was not measured at the same work, in words."""
    told = []
    for cell, other in ((base, best), (best, base)):
        work = [cell.row.get(name) for name in names]
        theirs = [row for row in other.side.rows if [row.get(name) for name in names] == work]
        for column in (c for c in _TRIABLE if c not in across):
            value = cell.row.get(column)
            if value is not None and value not in {row.get(column) for row in theirs}:
                name = column.replace("_", " ")
                setting = f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                told.append(
                    f"{cell.side.label} is at its best with {setting}, {other.side.label} was not measured with it"
                )
    return "; ".join(told)
