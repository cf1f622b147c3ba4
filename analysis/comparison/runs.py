"""The runs of a side's cells: one number a run, in an order that all cells of the side share."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from analysis.cells.matching import Key, Side
from analysis.cells.rows import Row
from analysis.contract.cells import SERVER, known
from analysis.page.caveats.of_sweep import BUSY_RATIO
from analysis.stats.estimate import Figure


@dataclass(frozen=True, kw_only=True)
class CellRuns:
    """A cell on one side.

    Attributes:
        medians_s: Median seconds per item of each of the side's runs, NaN where a run has no such cell.
        once: The latest run's median with its interval within that run.
        is_disturbed: Other work took over a tenth of the machine's CPU time in one of them.
    """

    medians_s: list[float]
    once: Figure
    is_disturbed: bool

    @property
    def n(self) -> int:
        return sum(not math.isnan(value) for value in self.medians_s)

    @property
    def level_s(self) -> float:
        """The geometric mean of the runs; NaN without any."""
        logs = [math.log(value) for value in self.medians_s if not math.isnan(value)]
        return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan

    @property
    def moved(self) -> float:
        """The largest ratio of two of its runs; 1 of one."""
        values = [value for value in self.medians_s if not math.isnan(value)]
        return max(values) / min(values) if values else 1.0


def seconds_per_item(row: Row) -> Figure:
    """A row's median step per item, of a server a request from its scheduled arrival to its answer."""
    columns = ("step_median_s", "step_median_low_s", "step_median_high_s")
    median, low, high = (known(row.get(column)) for column in columns)
    if median is None and row.get("scenario") == SERVER:
        median = known(row.get("latency_p50_s"))
    items = 1.0 if row.get("scenario") == SERVER else row.get("items_per_step") or row.get("batch_size") or 1
    return Figure(value=median if median and median > 0 else None, low=low, high=high).times(1 / float(items))


def runs_of(side: Side, cells: Mapping[Key, Sequence[int]]) -> dict[Key, CellRuns]:
    """The runs of each of a side's cells, which are named by the positions of their rows.

    A run is a sweep where several measured the cell, since what a sweep's repeats share no repeat can show; else it is
    one of the repeats of its sweep. Of several seeds each is a repeat.
    """
    by_label = {k: _by_label([side.rows[p] for p in positions]) for k, positions in cells.items()}
    order = {label: None for found in by_label.values() for label in found}
    made = {}
    for k, found in by_label.items():
        rows = [side.rows[p] for p in cells[k]]
        made[k] = CellRuns(
            medians_s=[_level(found.get(label, [])) for label in order],
            once=seconds_per_item(rows[-1]),
            is_disturbed=any((known(row.get("other_load_ratio")) or 0) > BUSY_RATIO for row in rows),
        )
    return made


def _by_label(rows: Sequence[Row]) -> dict[Hashable, list[Row]]:
    sweeps = {row.get("sweep_id") for row in rows}
    found: dict[Hashable, list[Row]] = {}
    for row in rows:
        sweep, repeat, seed = row.get("sweep_id"), known(row.get("repeat")) or 1, known(row.get("seed")) or 0
        found.setdefault(sweep if len(sweeps) > 1 else (sweep, seed, repeat), []).append(row)
    return found


def _level(rows: Sequence[Row]) -> float:
    values = [math.log(value) for row in rows if (value := seconds_per_item(row).value)]
    return math.exp(math.fsum(values) / len(values)) if values else math.nan
