"""Numbers of a comparison: how much faster each matched cell is, with what certainty, and all cells together.

What is compared are runs, a cell's medians in fresh processes, and a difference counts against how far runs of one cell
differ (``analysis.stats.between_runs``). Of a cell run once on a side that is unknown, and there is no verdict.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.cells.matching import Difference, Key, Side, differences, key_columns
from analysis.cells.rows import are_peaks_comparable
from analysis.comparison.runs import CellRuns, runs_of
from analysis.contract.cells import MEASURED, STATUSES
from analysis.stats.between_runs import Runs, Spread, pooled
from analysis.stats.common_shift import Shift, common_shift
from analysis.stats.estimate import Figure, geometric_mean, ratio
from analysis.stats.significance import holm
from analysis.stats.told_apart import MIN_CHANGE, verdict

MAX_P = 0.006
"""After correction for the number of cells. A false regression is half of it by a cell, and half of it by all cells
together: under 1 % of comparisons of equal code (``tests/benchmarks/simulations/compare_power.py``)."""
MIN_RUNS = 2
"""Runs of a cell on each side under which there is no verdict."""
NOT_MEASURED = tuple(status for status in STATUSES if status not in MEASURED)
CERTAIN = ("faster", "slower")
UNDECIDED = ("unclear", "one run", "disturbed")
VERDICTS = (*CERTAIN, "same", *UNDECIDED)
"""One run: a side ran the cell once. Disturbed: other work took over a tenth of the machine."""

_Rows = Sequence[dict[str, Any]]
_FIGURES = ["side", "baseline_s", "other_s", "ratio", "ratio_low", "ratio_high", "p", "verdict"]
_FIGURES += ["n_runs", "energy_ratio", "memory_ratio"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        key: Columns on which cells were matched.
        cells: One row a matched cell and side: the key columns, ``side``, ``baseline_s`` and ``other_s`` (seconds per
            item, server: of a request; the geometric mean of the runs), ``ratio`` (speed of the side over the
            baseline's, above 1 is faster) with ``ratio_low`` and ``ratio_high``, ``p`` (corrected), ``verdict``,
            ``n_runs`` of the side with fewer, ``energy_ratio`` and ``memory_ratio`` (the side's joules per item and
            peak bytes over the baseline's, where both were counted alike). Unknown is NaN.
        sides: One row a side: ``n_cells``, the verdicts' counts; ``ratio``, ``ratio_low``, ``ratio_high``, ``p`` and
            ``verdict`` of all its cells together; ``n_repeated``, its cells with repeats on both sides; ``spread``
            between runs of a cell (1 is 100 %), ``moved`` (the
            largest ratio of two runs of one cell), ``n_spread`` (cells that told it), and ``smallest_cell`` and
            ``smallest_shift``, the ratios that four of five such comparisons would have found in one cell and in all.
        outcomes: Cells that completed on one side and failed on the other: key columns, ``side``,
            ``baseline_status``, ``other_status``, ``reason``.
        differences: Facts of the work in which matched cells differ, or that one side did not record.
        min_change: The share from which a difference of one cell is of interest; of all cells together, half of it.
    """

    key: list[str]
    cells: pd.DataFrame
    sides: pd.DataFrame
    outcomes: pd.DataFrame
    differences: list[Difference]
    min_change: float = MIN_CHANGE


def compare(sides: Sequence[Side], *, across: Sequence[str] = (), min_change: float = MIN_CHANGE) -> Comparison:
    """Compare every side with the first, on the cells that both completed; equal rows give equal numbers.

    Columns in ``across`` are left out of the match, because they are what differs between the sides.

    Raises:
        ValueError: Fewer than two sides.
    """
    if len(sides) < 2:
        raise ValueError(f"a comparison needs two sides or more, got {len(sides)}")
    key = key_columns(sides, across)
    cells: list[dict[str, Any]] = []
    overview: list[dict[str, Any]] = []
    found: list[Difference] = []
    baseline = sides[0]
    ours = baseline.rows_by_key(key, ["complete"])
    n_cells = sum(k in ours for other in sides[1:] for k in other.rows_by_key(key, ["complete"]))
    for other in sides[1:]:
        theirs = other.rows_by_key(key, ["complete"])
        shared = [k for k in ours if k in theirs]
        found += differences(baseline, other, {k: (ours[k][-1], theirs[k][-1]) for k in shared}, key, across)
        pairs = Pairs.of((baseline, {k: ours[k] for k in shared}), (other, {k: theirs[k] for k in shared}))
        for k in shared:
            rows = [baseline.rows[p] for p in ours[k]], [other.rows[p] for p in theirs[k]]
            cells.append(
                dict(zip(key, k, strict=True)) | {"side": other.label} | pairs.figures(k) | _costs(rows, across)
            )
        overview.append({"side": other.label} | pairs.together(n_cells, len(sides) - 1, min_change))
    frame = _judged(pd.DataFrame(cells, columns=[*key, *_FIGURES]), min_change)
    return Comparison(
        key=key, cells=frame, sides=_counted(pd.DataFrame(overview), frame), outcomes=_outcomes(sides, key),
        differences=found, min_change=min_change,
    )  # fmt: skip


def most_telling(verdicts: Sequence[str], ratios: Sequence[float], n: int) -> list[int]:
    """Positions of the ``n`` cells furthest from a ratio of 1, certain differences first chosen; in their own order."""
    order = np.lexsort((-np.abs(np.log(np.asarray(ratios, np.float64))), ~np.isin(verdicts, CERTAIN)))
    return sorted(order[:n].tolist())


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The matched cells of two sides, with the spread between runs that they share."""

    baseline: Mapping[Key, CellRuns]
    other: Mapping[Key, CellRuns]
    spread: Spread

    @classmethod
    def of(
        cls, baseline: tuple[Side, Mapping[Key, Sequence[int]]], other: tuple[Side, Mapping[Key, Sequence[int]]]
    ) -> Pairs:
        """Pairs of cells of two sides, each by the positions of its rows; both name the same cells."""
        ours, theirs = runs_of(*baseline), runs_of(*other)
        return cls(baseline=ours, other=theirs, spread=pooled([(ours[k].medians_s, theirs[k].medians_s) for k in ours]))

    def is_repeated(self, k: Key) -> bool:
        return min(self.baseline[k].n, self.other[k].n) >= MIN_RUNS

    def is_disturbed(self, k: Key) -> bool:
        return self.baseline[k].is_disturbed or self.other[k].is_disturbed

    def ratio(self, k: Key) -> Figure:
        """The side's speed over the baseline's; of one run a side with what varies within a run alone."""
        a, b = self.baseline[k], self.other[k]
        return self.spread.ratio(a.medians_s, b.medians_s) if self.is_repeated(k) else ratio(a.once, b.once)

    def figures(self, k: Key) -> dict[str, Any]:
        """A cell's row, p not corrected yet."""
        a, b, found = self.baseline[k], self.other[k], self.ratio(k)
        p = self.spread.p_value(a.medians_s, b.medians_s) if self.is_repeated(k) else math.nan
        at_most = "disturbed" if self.is_disturbed(k) else "unclear" if self.is_repeated(k) else "one run"
        return {
            "baseline_s": a.level_s, "other_s": b.level_s, **_ends(found), "p": p, "verdict": at_most,
            "n_runs": min(a.n, b.n),
        }  # fmt: skip

    def together(self, n_cells: int, n_sides: int, min_change: float) -> dict[str, Any]:
        """What is said of all cells together, those left out that other work disturbed; NaN where unknown.

        A shift of all cells is a question of its own, asked once a side, and judged by runs as a whole: half of what
        is of interest in one cell is of interest here, since it comes in every cell.
        """
        calm = [k for k in self.baseline if self.is_repeated(k) and not self.is_disturbed(k)]
        known = [found for k in self.baseline if (found := self.ratio(k)).value is not None]
        mean, least = geometric_mean(known), min_change / 2
        shift = _shift([self.baseline[k].medians_s for k in calm], [self.other[k].medians_s for k in calm])
        is_known = shift.p < math.inf
        p = min(1.0, n_sides * shift.p) if is_known else math.nan
        n = min((min(self.baseline[k].n, self.other[k].n) for k in calm), default=0)
        return {
            "n_cells": len(known), **_ends(shift.ratio if is_known and len(calm) == len(known) else mean), "p": p,
            "shift": shift.ratio.value if is_known else math.nan,
            "verdict": verdict(shift.ratio, is_certain=p < MAX_P, least=least) if len(calm) > 1 else "unclear",
            "n_repeated": sum(map(self.is_repeated, self.baseline)),
            "n_spread": self.spread.n_cells, "spread": self.spread.relative if self.spread.n_cells else math.nan,
            "moved": max((c.moved for side in (self.baseline, self.other) for c in side.values()), default=1.0),
            "smallest_cell": self.spread.smallest_change(n, n, MAX_P / max(1, n_cells), min_change),
            "smallest_shift": shift.smallest_change(MAX_P / n_sides, least) if len(calm) > 1 else math.nan,
        }  # fmt: skip


def _shift(over: Sequence[Runs], under: Sequence[Runs]) -> Shift:
    return common_shift(over, under) if over else Shift(ratio=Figure(value=None), p=math.nan, error=math.nan, freedom=0)


def _ends(figure: Figure) -> dict[str, float]:
    value, low, high = (math.nan if v is None else v for v in (figure.value, figure.low, figure.high))
    return {"ratio": value, "ratio_low": low, "ratio_high": high}


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
    if not all(are_peaks_comparable(dict(a), dict(b)) for a in rows[0] for b in rows[1]):
        memory = [math.nan, math.nan]
    return {"energy_ratio": energies[1] / energies[0], "memory_ratio": memory[1] / memory[0]}


def _median(rows: _Rows, column: str) -> float:
    """Median of a column's values over the runs of a cell; NaN where none has any."""
    known = [float(row[column]) for row in rows if row.get(column)]
    return statistics.median(known) if known else math.nan


def _judged(cells: pd.DataFrame, min_change: float) -> pd.DataFrame:
    """With p values corrected for all cells of all sides, and a verdict for each that can have one."""
    p = holm(cells["p"].to_numpy(np.float64))
    ends = cells[["ratio", "ratio_low", "ratio_high"]].to_numpy(np.float64).tolist()
    verdicts = [
        verdict(Figure(value=value, low=low, high=high), is_certain=of_cell < MAX_P, least=min_change, same=min_change)
        if at_most == "unclear" else at_most
        for (value, low, high), of_cell, at_most in zip(ends, p, cells["verdict"], strict=True)
    ]  # fmt: skip
    return cells.assign(p=p, verdict=verdicts)


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
