"""Numbers of a comparison: how much faster each matched cell is, with what certainty, and the geometric mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells.matching import Difference, Side, differences, key_columns
from analysis.comparison.timings import Timings, drawn_ratio, items_per_sample
from analysis.contract.cells import MEASURED, STATUSES
from analysis.stats.resampling import N_DRAWS, Blocks, Floats, interval
from analysis.stats.significance import Significance, holm

MIN_RATIO = 1.05
"""A smaller difference is of no interest, however certain."""
MAX_P = 0.002
"""That of asv's comparisons; here after correction for the number of cells."""
NOT_MEASURED = tuple(status for status in STATUSES if status not in MEASURED)
CERTAIN = ("faster", "slower")
VERDICTS = (*CERTAIN, "same", "unclear")

_Rows = Sequence[dict[str, Any]]
_FIGURES = ["side", "baseline_s", "other_s", "ratio", "ratio_low", "ratio_high", "p", "verdict"]
_FIGURES += ["n_rounds", "energy_ratio", "memory_ratio"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        key: Columns on which cells were matched.
        cells: One row a matched cell and side: the key columns, ``side``, ``baseline_s`` and ``other_s`` (median
            seconds per item, server: of a request), ``ratio`` (speed of the side over the baseline's, above 1 is
            faster) with ``ratio_low`` and ``ratio_high``, ``p`` (corrected), ``verdict``, ``n_rounds`` of the side
            with fewer, ``energy_ratio`` and ``memory_ratio`` (the side's joules per item and peak bytes over the
            baseline's, where both were counted alike). Unknown is NaN.
        sides: One row a side: ``n_cells``, the verdicts' counts, ``ratio``, ``ratio_low``, ``ratio_high`` (the
            geometric mean over its cells).
        outcomes: Cells that completed on one side and failed on the other: key columns, ``side``,
            ``baseline_status``, ``other_status``, ``reason``.
        differences: Facts of the work in which matched cells differ, or that one side did not record.
    """

    key: list[str]
    cells: pd.DataFrame
    sides: pd.DataFrame
    outcomes: pd.DataFrame
    differences: list[Difference]


def compare(
    sides: Sequence[Side], *, across: Sequence[str] = (), timings: Sequence[Timings] | None = None
) -> Comparison:
    """Compare every side with the first, on the cells that both completed; equal rows give equal numbers.

    Columns in ``across`` are left out of the match, because they are what differs between the sides. Timings are of the
    sides in their order, and made where not given.

    Raises:
        ValueError: Fewer than two sides.
    """
    if len(sides) < 2:
        raise ValueError(f"a comparison needs two sides or more, got {len(sides)}")
    key = key_columns(sides, across)
    rng = np.random.default_rng(0)
    significance = Significance()
    cells: list[dict[str, Any]] = []
    overview: list[dict[str, Any]] = []
    found: list[Difference] = []
    timings = timings or [Timings(side) for side in sides]
    baseline = sides[0]
    ours = baseline.rows_by_key(key, ["complete"])
    for other, their_timings in zip(sides[1:], timings[1:], strict=True):
        theirs = other.rows_by_key(key, ["complete"])
        shared = [k for k in ours if k in theirs]
        found += differences(baseline, other, {k: (ours[k][-1], theirs[k][-1]) for k in shared}, key, across)
        mean = _GeometricMean()
        for k in shared:
            a, b = timings[0].blocks(ours[k]), their_timings.blocks(theirs[k])
            rows = [baseline.rows[p] for p in ours[k]], [other.rows[p] for p in theirs[k]]
            significance.add(a, b)
            figures = _speeds(a, b, rows, rng, mean) | _costs(rows, across)
            cells.append(dict(zip(key, k, strict=True)) | {"side": other.label} | figures)
        overview.append({"side": other.label} | mean.figures())
    frame = _judged(pd.DataFrame(cells, columns=[*key, *_FIGURES]), holm(significance.p_values()))
    return Comparison(
        key=key,
        cells=frame,
        sides=_counted(pd.DataFrame(overview), frame),
        outcomes=_outcomes(sides, key),
        differences=found,
    )


def most_telling(verdicts: Sequence[str], ratios: Sequence[float], n: int) -> list[int]:
    """Positions of the ``n`` cells furthest from a ratio of 1, certain differences first chosen; in their own order."""
    order = np.lexsort((-np.abs(np.log(np.asarray(ratios, np.float64))), ~np.isin(verdicts, CERTAIN)))
    return sorted(order[:n].tolist())


class _GeometricMean:
    """Gathers the logarithms of the cells' ratios and of their bootstrap draws."""

    def __init__(self) -> None:
        self._logs: list[float] = []
        self._draws: Floats = np.zeros(N_DRAWS)
        self._dof = 0
        self._n_blocks = math.inf

    def add(self, ratio: float, draws: Floats | None, n_blocks: tuple[int, int]) -> None:
        self._logs.append(math.log(ratio))
        self._draws += math.log(ratio) if draws is None else np.log(draws)
        if draws is not None:
            self._dof += sum(n_blocks) - 2
            self._n_blocks = min(self._n_blocks, *n_blocks)

    def figures(self) -> dict[str, Any]:
        """The mean; its interval holds the noise of the cells compared, not which cells were chosen."""
        n = len(self._logs)
        ratio = math.exp(math.fsum(self._logs) / n) if n else math.nan
        low, high = math.nan, math.nan
        if self._dof:
            low, high = interval(np.exp(self._draws / n), int(self._n_blocks), self._dof)
        return {"n_cells": n, "ratio": ratio, "ratio_low": low, "ratio_high": high}


def _speeds(
    a: Blocks | None, b: Blocks | None, rows: tuple[_Rows, _Rows], rng: np.random.Generator, mean: _GeometricMean
) -> dict[str, Any]:
    """Times of one pair; where a side has no samples its row's median gives a ratio without interval."""
    ours = a.median if a else _row_median(rows[0][-1])
    theirs = b.median if b else _row_median(rows[1][-1])
    n_blocks = (a.n_blocks, b.n_blocks) if a and b else (0, 0)
    ratio, (draws, low, high) = ours / theirs, drawn_ratio(a, b, rng)
    if not math.isnan(ratio):
        mean.add(ratio, draws, n_blocks)
    return {
        "baseline_s": ours, "other_s": theirs, "ratio": ratio, "ratio_low": low, "ratio_high": high,
        "p": math.nan, "verdict": None, "n_rounds": min(n_blocks),
    }  # fmt: skip


def _row_median(row: dict[str, Any]) -> float:
    median = row.get("step_median_s")
    items = items_per_sample(row | {"steps_per_sample": 1})
    return float(median) / items if median else math.nan


def _costs(rows: tuple[_Rows, _Rows], across: Sequence[str]) -> dict[str, float]:
    """Joules per item and peak bytes over the baseline's, medians over a side's runs; NaN where counted otherwise."""
    domains = [{row.get("energy_domain") for row in side if row.get("energy_per_item_j")} for side in rows]
    alike = "energy_domain" in across or len(domains[0] | domains[1]) == 1
    energies = [_median(side, "energy_per_item_j") for side in rows] if alike else [math.nan, math.nan]
    on_device = [_median(side, "device_peak_allocated_bytes") for side in rows]
    resident = [_median(side, "peak_rss_bytes") for side in rows]
    # Memory of a device holds tensors alone, that of a process the libraries too; no ratio of one to the other.
    is_mixed = math.isnan(on_device[0]) != math.isnan(on_device[1])
    memory = [math.nan, math.nan] if is_mixed else resident if math.isnan(on_device[0]) else on_device
    return {"energy_ratio": energies[1] / energies[0], "memory_ratio": memory[1] / memory[0]}


def _median(rows: _Rows, column: str) -> float:
    """Median of a column's values over the runs of a cell; NaN where none has any."""
    known = [float(row[column]) for row in rows if row.get(column)]
    return statistics.median(known) if known else math.nan


def _judged(cells: pd.DataFrame, p: Floats) -> pd.DataFrame:
    """With p values, corrected for all cells of all sides, and a verdict for each."""
    ratio, low, high = (cells[c].to_numpy(np.float64) for c in ("ratio", "ratio_low", "ratio_high"))
    sure = p < MAX_P
    verdict = np.select(
        [sure & (ratio > MIN_RATIO), sure & (1 / ratio > MIN_RATIO), (low >= 1 / MIN_RATIO) & (high <= MIN_RATIO)],
        ["faster", "slower", "same"],
        "unclear",
    )
    return cells.assign(p=p, verdict=verdict)


def _counted(sides: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    counts = pd.crosstab(cells["side"], cells["verdict"]).reindex(index=sides["side"], columns=list(VERDICTS))
    return sides.join(counts.fillna(0).astype(int), on="side")


def _outcomes(sides: Sequence[Side], key: Sequence[str]) -> pd.DataFrame:
    """Cells that completed on one side and failed on the other."""
    found = []
    for other in sides[1:]:
        for failing, passing in ((other, sides[0]), (sides[0], other)):
            here, there = (side.rows_by_key(key, ["complete"]) for side in (failing, passing))
            for k, positions in failing.rows_by_key(key, NOT_MEASURED).items():
                if k in there and k not in here:
                    row = failing.rows[positions[-1]]
                    statuses = ("complete", row["status"]) if failing is other else (row["status"], "complete")
                    found.append((*k, other.label, *statuses, row.get("status_reason") or row.get("error_type")))
    return pd.DataFrame(found, columns=[*key, "side", "baseline_status", "other_status", "reason"])
