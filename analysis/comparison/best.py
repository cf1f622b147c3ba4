"""The best each side can do with a piece of work: its fastest cell and its most frugal one, whatever the settings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.matching import Difference, Key, Side, differences, key_columns
from analysis.cells.naming import label
from analysis.cells.usable import usable
from analysis.comparison.timings import Timings
from analysis.contract.cells import SERVER, SETTINGS, TASK_COLUMNS
from analysis.stats.resampling import MIN_BLOCKS, median_draws, ratio_interval

_MEASURED = ("throughput_items_per_s", "top1_agreement_ratio", "accuracy_best")
_FIGURES = ["side", *SETTINGS, "item", *_MEASURED, "ratio", "ratio_low", "ratio_high", "items_per_j", "energy_domain"]
_FIGURES += ["frugal_settings", "energy_ratio"]


def best_cells(
    sides: Sequence[Side], *, across: Sequence[str] = (), seed: int = 0, timings: Sequence[Timings] | None = None
) -> tuple[pd.DataFrame, list[Difference]]:
    """The fastest and the most frugal completed cell of each side, for all work that every side has completed.

    Args:
        sides: Two or more; the first is the baseline of the ratios.
        across: Columns that may differ between the sides.
        seed: Of the bootstrap's draws.
        timings: Of the sides in their order; made where not given.

    Returns:
        One row a piece of work and side: the work's columns, ``side``, the settings of the fastest cell (of servers
        the highest rate that they keep up with), its throughput, ``ratio`` to the baseline's fastest with its 95 %
        interval (NaN for the baseline itself, for servers whose rates were asked and not searched for, and, the
        interval, where a side kept no samples), ``items_per_j`` of the most frugal cell with ``energy_domain`` and
        ``frugal_settings``, ``energy_ratio`` (items per joule over the baseline's; NaN where unknown, or where the
        counters cover different things) and the fastest cell's ``top1_agreement_ratio``; and the facts in which the
        fastest cells' work differs.
    """
    rng = np.random.default_rng(seed)
    names = [name for name in TASK_COLUMNS if name not in across and any(name in side.facts for side in sides)]
    fastest = [_fastest(side, names) for side in sides]
    frugal = [_most_frugal(side, names, best) for side, best in zip(sides, fastest, strict=True)]
    timings = timings or [Timings(side) for side in sides]
    shared = [k for k in fastest[0] if all(k in other for other in fastest[1:])]
    rows: list[dict[str, Any]] = []
    for k in shared:
        base = _Best(sides[0], fastest[0][k], timings[0])
        for i, side in enumerate(sides):
            best = _Best(side, fastest[i][k], timings[i])
            figures = dict(zip(names, k, strict=True)) | {"side": side.label} | {n: best.row.get(n) for n in SETTINGS}
            figures |= {"item": best.row.get("item")} | {n: best.median(n) for n in _MEASURED}
            if i:
                figures |= _speed_ratio(base, best, rng)
            rows.append(figures | _energy(sides[0], frugal[0].get(k), side, frugal[i].get(k), across))
    found: list[Difference] = []
    for i, side in enumerate(sides[1:], start=1):
        pairs = {k: (fastest[0][k][-1], fastest[i][k][-1]) for k in shared}
        found += differences(sides[0], side, pairs, names, [*SETTINGS, *across, "seed"])
    return pd.DataFrame(rows, columns=[*names, *_FIGURES]), found


@dataclass(frozen=True)
class _Best:
    """One cell of a side and all its runs, by their positions."""

    side: Side
    runs: list[int]
    timings: Timings

    @property
    def row(self) -> dict[str, Any]:
        return self.side.rows[self.runs[-1]]

    def median(self, column: str) -> float:
        """Over the runs; the luckiest of several is no figure to plan with."""
        return _median(self.side, self.runs, column)


def _median(side: Side, runs: Sequence[int], column: str) -> float:
    known = [float(side.rows[p][column]) for p in runs if side.rows[p].get(column) is not None]
    return statistics.median(known) if known else math.nan


def _fastest(side: Side, names: Sequence[str]) -> dict[Key, list[int]]:
    """Positions of the runs of the fastest completed cell that may be used, for each piece of work."""
    is_usable = side.trials.index.isin(usable(side.trials).index)
    return _largest(side, names, THROUGHPUT[0], lambda _, p: bool(is_usable[p]))


def _most_frugal(side: Side, names: Sequence[str], fastest: dict[Key, list[int]]) -> dict[Key, list[int]]:
    """Likewise of the cell with the most items per joule by the same kind of counter as the fastest one's."""

    def is_comparable(k: Key, position: int) -> bool:
        beside = side.rows[fastest[k][-1]] if k in fastest else {}
        domain = beside.get("energy_domain") if beside.get("items_per_j") else None
        return domain is None or side.rows[position].get("energy_domain") == domain

    return _largest(side, names, "items_per_j", is_comparable)


def _largest(
    side: Side, names: Sequence[str], figure: str, may: Callable[[Key, int], bool]
) -> dict[Key, list[int]]:  # fmt: skip
    """The runs of the cell whose median of the figure over its runs is the largest, for each piece of work."""
    cells: dict[Key, list[list[int]]] = {}
    for k, positions in side.rows_by_key([*names, *key_columns([side], names)], ["complete"]).items():
        work = k[: len(names)]
        runs = [p for p in positions if side.rows[p].get(figure) and may(work, p)]
        if runs:
            cells.setdefault(work, []).append(runs)
    return {work: max(found, key=lambda runs: _median(side, runs, figure)) for work, found in cells.items()}


def _energy(
    baseline: Side, base: list[int] | None, side: Side, runs: list[int] | None, across: Sequence[str]
) -> dict[str, Any]:
    if runs is None:
        return {}
    row = side.rows[runs[-1]]
    frugal = _median(side, runs, "items_per_j")
    figures: dict[str, Any] = {"items_per_j": frugal, "energy_domain": row.get("energy_domain")}
    figures["frugal_settings"] = label(row, SETTINGS)
    if base is None or side is baseline:
        return figures
    if "energy_domain" in across or row.get("energy_domain") == baseline.rows[base[-1]].get("energy_domain"):
        figures["energy_ratio"] = frugal / _median(baseline, base, "items_per_j")
    return figures


def _speed_ratio(base: _Best, best: _Best, rng: np.random.Generator) -> dict[str, float]:
    if best.row.get("scenario") == SERVER:  # its samples are latencies, and a rate that was asked for is no result
        return {"ratio": best.median("max_rate_per_s") / base.median("max_rate_per_s")}
    a, b = (one.timings.blocks(one.runs) for one in (base, best))
    if a is None or b is None:
        return {"ratio": best.median(THROUGHPUT[0]) / base.median(THROUGHPUT[0])}
    figures = {"ratio": a.median / b.median}
    if min(a.n_blocks, b.n_blocks) >= MIN_BLOCKS:
        low, high = ratio_interval(a, b, median_draws(a, rng) / median_draws(b, rng))
        figures |= {"ratio_low": low, "ratio_high": high}
    return figures
