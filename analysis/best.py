"""The best each side can do with a piece of work: its fastest cell and its most frugal one, whatever the settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.matching import Difference, Key, Side, differences
from analysis.resampling import MIN_BLOCKS, interval, median_draws
from analysis.timings import SERVER, Timings

WORK = ("workload", "scenario", "model", "pipeline", "tune")
"""What stays the same; device, precision, batch size and all other settings are each side's to choose."""
SETTINGS = ("device", "precision", "batch_size", "memory_format", "compile", "learning_rate", "rate_per_s")
_FIGURES = ["side", *SETTINGS, "throughput_items_per_s", "ratio", "ratio_low", "ratio_high"]
_FIGURES += ["items_per_j", "frugal_settings", "energy_ratio", "top1_agreement_ratio"]


def best_cells(sides: Sequence[Side], *, seed: int = 0) -> tuple[pd.DataFrame, list[Difference]]:
    """The fastest and the most frugal completed cell of each side, for all work that every side has completed.

    Args:
        sides: Two or more; the first is the baseline of the ratios.
        seed: Of the bootstrap's draws.

    Returns:
        One row a piece of work and side: the work's columns, ``side``, the settings of the fastest cell, its
        throughput, ``ratio`` to the baseline's fastest with its 95 % interval (NaN for the baseline itself and where
        a side kept no samples), ``items_per_j`` of the most frugal cell with ``frugal_settings``, ``energy_ratio``
        (items per joule over the baseline's; NaN where unknown) and the fastest cell's ``top1_agreement_ratio``;
        and the facts in which the fastest cells' work differs.
    """
    rng = np.random.default_rng(seed)
    names = [name for name in WORK if any(name in side.facts for side in sides)]
    fastest = [_best(side, names, "throughput_items_per_s") for side in sides]
    frugal = [_best(side, names, "items_per_j") for side in sides]
    timings = [Timings(side) for side in sides]
    shared = [k for k in fastest[0] if all(k in other for other in fastest[1:])]
    rows: list[dict[str, Any]] = []
    for k in shared:
        for i, side in enumerate(sides):
            row = side.rows[fastest[i][k]]
            thrifty = side.rows[frugal[i][k]] if k in frugal[i] else {}
            base = sides[0].rows[frugal[0][k]] if k in frugal[0] else {}
            figures = dict(zip(names, k, strict=True)) | {"side": side.label} | {n: row.get(n) for n in SETTINGS}
            figures |= {n: row.get(n) for n in ("throughput_items_per_s", "top1_agreement_ratio")}
            figures |= {"items_per_j": thrifty.get("items_per_j"), "frugal_settings": settings(thrifty)}
            if i:
                pair = (timings[0], fastest[0][k]), (timings[i], fastest[i][k])
                figures |= _speed_ratio(sides[0].rows[fastest[0][k]], row, pair, rng)
                if base and thrifty:
                    figures["energy_ratio"] = thrifty["items_per_j"] / base["items_per_j"]
            rows.append(figures)
    found: list[Difference] = []
    for i, side in enumerate(sides[1:], start=1):
        pairs = {k: (fastest[0][k], fastest[i][k]) for k in shared}
        found += differences(sides[0], side, pairs, names, [*SETTINGS, "seed"])
    return pd.DataFrame(rows, columns=[*names, *_FIGURES]), found


def settings(row: dict[str, Any]) -> str | None:
    """A cell's settings in words, such as ``cpu, bf16, batch 64``; None for no cell."""
    if not row:
        return None
    words = [row.get("device"), row.get("precision")]
    words += [f"batch {row['batch_size']:g}"] if row.get("batch_size") else []
    words += [row.get("memory_format")] if row.get("memory_format") != "contiguous" else []
    words += [f"compile {row['compile']}"] if row.get("compile") not in (None, "none") else []
    return ", ".join(str(word) for word in words if word is not None)


def _best(side: Side, names: Sequence[str], figure: str) -> dict[Key, int]:
    """Position of the completed row with the largest figure, for each piece of work."""
    best: dict[Key, int] = {}
    for k, positions in side.rows_by_key(names, ["complete"]).items():
        known = [p for p in positions if side.rows[p].get(figure)]
        if known:
            best[k] = max(known, key=lambda p: float(side.rows[p][figure]))
    return best


def _speed_ratio(
    base: dict[str, Any],
    row: dict[str, Any],
    pair: tuple[tuple[Timings, int], tuple[Timings, int]],
    rng: np.random.Generator,
) -> dict[str, float]:
    ratio = float(row["throughput_items_per_s"]) / float(base["throughput_items_per_s"])
    figures = {"ratio": ratio, "ratio_low": math.nan, "ratio_high": math.nan}
    if row.get("scenario") == SERVER:  # its samples are latencies, which say nothing of throughput
        return figures
    ours, theirs = (timings.blocks([position]) for timings, position in pair)
    if ours and theirs and min(ours.n_blocks, theirs.n_blocks) >= MIN_BLOCKS:
        draws = median_draws(ours, rng) / median_draws(theirs, rng)
        n_blocks = min(ours.n_blocks, theirs.n_blocks)
        low, high = interval(draws, n_blocks, ours.n_blocks + theirs.n_blocks - 2)
        figures |= {"ratio": ours.median / theirs.median, "ratio_low": low, "ratio_high": high}
    return figures
