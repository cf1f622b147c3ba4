"""The best each side can do with a piece of work: its fastest cell and its most frugal one, whatever the settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells import label
from analysis.matching import Difference, Key, Side, differences
from analysis.recommend import THROUGHPUT, usable
from analysis.resampling import MIN_BLOCKS, interval, median_draws
from analysis.timings import SERVER, Timings

WORK = ("workload", "scenario", "model", "pipeline", "tune", "augment")
"""What stays the same; device, precision, batch size and all other settings are each side's to choose."""
SETTINGS = ("device", "precision", "batch_size", "memory_format", "compile", "implementation", "feed", "learning_rate",
            "rate_per_s")  # fmt: skip
_FIGURES = ["side", *SETTINGS, "item", "throughput_items_per_s", "ratio", "ratio_low", "ratio_high"]
_FIGURES += ["items_per_j", "energy_domain", "frugal_settings", "energy_ratio", "top1_agreement_ratio"]


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
    names = [name for name in WORK if name not in across and any(name in side.facts for side in sides)]
    fastest = [_fastest(side, names) for side in sides]
    frugal = [_most_frugal(side, names, best) for side, best in zip(sides, fastest, strict=True)]
    timings = timings or [Timings(side) for side in sides]
    shared = [k for k in fastest[0] if all(k in other for other in fastest[1:])]
    rows: list[dict[str, Any]] = []
    for k in shared:
        base = sides[0].rows[fastest[0][k]]
        for i, side in enumerate(sides):
            row = side.rows[fastest[i][k]]
            figures = dict(zip(names, k, strict=True)) | {"side": side.label} | {n: row.get(n) for n in SETTINGS}
            figures |= {n: row.get(n) for n in ("item", "throughput_items_per_s", "top1_agreement_ratio")}
            if i:
                figures |= _speed_ratio(base, row, (timings[0], fastest[0][k]), (timings[i], fastest[i][k]), rng)
            rows.append(figures | _energy(sides[0], frugal[0].get(k), side, frugal[i].get(k), across))
    found: list[Difference] = []
    for i, side in enumerate(sides[1:], start=1):
        pairs = {k: (fastest[0][k], fastest[i][k]) for k in shared}
        found += differences(sides[0], side, pairs, names, [*SETTINGS, *across, "seed"])
    return pd.DataFrame(rows, columns=[*names, *_FIGURES]), found


def _fastest(side: Side, names: Sequence[str]) -> dict[Key, int]:
    """Position of the fastest completed row that may be used, for each piece of work."""
    is_usable = side.trials.index.isin(usable(side.trials).index)
    return _largest(side, names, THROUGHPUT[0], lambda _, p: bool(is_usable[p]))


def _most_frugal(side: Side, names: Sequence[str], fastest: dict[Key, int]) -> dict[Key, int]:
    """Position of the row with the most items per joule by the same kind of counter as the fastest row's."""

    def is_comparable(k: Key, position: int) -> bool:
        beside = side.rows[fastest[k]] if k in fastest else {}
        domain = beside.get("energy_domain") if beside.get("items_per_j") else None
        return domain is None or side.rows[position].get("energy_domain") == domain

    return _largest(side, names, "items_per_j", is_comparable)


def _largest(side: Side, names: Sequence[str], figure: str, may: Callable[[Key, int], bool]) -> dict[Key, int]:
    best: dict[Key, int] = {}
    for k, positions in side.rows_by_key(names, ["complete"]).items():
        known = [p for p in positions if side.rows[p].get(figure) and may(k, p)]
        if known:
            best[k] = max(known, key=lambda p: float(side.rows[p][figure]))
    return best


def _energy(
    baseline: Side, base: int | None, side: Side, position: int | None, across: Sequence[str]
) -> dict[str, Any]:
    if position is None:
        return {}
    row, reference = side.rows[position], None if base is None else baseline.rows[base]
    figures = {"items_per_j": row["items_per_j"], "energy_domain": row.get("energy_domain")}
    figures["frugal_settings"] = label(row, SETTINGS)
    if reference is None or side is baseline:
        return figures
    if "energy_domain" in across or row.get("energy_domain") == reference.get("energy_domain"):
        figures["energy_ratio"] = row["items_per_j"] / reference["items_per_j"]
    return figures


def _speed_ratio(
    base: dict[str, Any], row: dict[str, Any], ours: tuple[Timings, int], theirs: tuple[Timings, int],
    rng: np.random.Generator,
) -> dict[str, float]:  # fmt: skip
    if row.get("scenario") == SERVER:  # its samples are latencies, and a rate that was asked for is no result
        is_found = all(r.get("max_rate_per_s") for r in (base, row))
        return {"ratio": float(row["max_rate_per_s"]) / float(base["max_rate_per_s"]) if is_found else math.nan}
    a, b = (timings.blocks([position]) for timings, position in (ours, theirs))
    if a is None or b is None:
        return {"ratio": float(row["throughput_items_per_s"]) / float(base["throughput_items_per_s"])}
    figures = {"ratio": a.median / b.median}
    n_blocks = a.n_blocks, b.n_blocks
    if min(n_blocks) >= MIN_BLOCKS:
        low, high = interval(median_draws(a, rng) / median_draws(b, rng), min(n_blocks), sum(n_blocks) - 2)
        figures |= {"ratio_low": low, "ratio_high": high}
    return figures
