"""Memory in numbers: peaks, what a further item takes, which batches fit, and whether memory grows. No drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from analysis.cells.groups import Group, groups, line_columns
from analysis.cells.rows import Row, extreme, memory_bytes
from analysis.contract.cells import BOUNDS_BATCH, LEAK_BYTES_PER_STEP, MEASURED
from analysis.stats.estimate import Figure, known

MAX_REACH = 8
"""How many times the largest batch that ran a line is followed."""
VERDICTS = ("leak", "undecided", "none")
SLOPES = {"device": "leak_device", "host": "leak_host"}
"""What grows, and how its columns begin: ``leak_host_bytes_per_step`` with its ``low`` and ``high`` ends."""
COLUMNS = ("static_bytes", "device_peak_allocated_bytes", "device_peak_reserved_bytes", "device_recommended_max_bytes",
           "peak_rss_bytes", "device_total_bytes", "host_total_bytes", "leak_verdict", "leak_shapes", "batch_size",
           *(f"{begin}{end}_bytes_per_step" for begin in SLOPES.values() for end in ("", "_low", "_high")))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Peak memory as a line over the batch size; unknown from fewer than three batch sizes."""

    per_item_bytes: Figure  # what a further item takes
    fixed_bytes: float | None  # what remains at batch size 0

    @property
    def is_rising(self) -> bool:
        """Whether memory is known to rise with the batch."""
        return self.per_item_bytes.low is not None and self.per_item_bytes.low > 0


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What fits of one way of doing a task."""

    name: str  # what tells it from the others, in words
    row: Row  # the cell with the largest batch that ran; the first cell where none ran
    largest: int | None  # that batch; None where none ran
    smallest_oom: int | None  # None if no batch ran out of memory
    growth: Growth

    @property
    def is_contradictory(self) -> bool:
        """A batch ran out of memory although one at least as large completed: something else took the memory."""
        return None not in (self.largest, self.smallest_oom) and self.smallest_oom <= self.largest  # type: ignore[operator]


def peaks(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that ran and whose memory is known.

    Returns:
        Added: ``peak_bytes``, on the device where it counts its own, else of the process; ``capacity_bytes``, what
        there is of that memory (on a Mac what the system recommends as the most); ``capacity_share_ratio``.
    """
    ran = frame[frame["status"].isin(MEASURED)]
    has_own = ran["device_peak_allocated_bytes"].notna()
    of_device = ran["device_recommended_max_bytes"].fillna(ran["device_total_bytes"])
    capacity = of_device.where(has_own, ran["host_total_bytes"].fillna(ran["device_total_bytes"]))
    peak = memory_bytes(ran)
    told = ran.assign(peak_bytes=peak, capacity_bytes=capacity, capacity_share_ratio=peak / capacity)
    return told[told["peak_bytes"].notna()]


def growth(cells: pd.DataFrame) -> Growth:
    """Peak memory over batch size of one line's cells, of ``peaks``; the largest peak of each batch counts.

    The line is Theil and Sen's, which a single cell does not sway.
    """
    largest = cells.dropna(subset=["batch_size"]).groupby("batch_size")["peak_bytes"].max()
    if len(largest) < 3:
        return Growth(per_item_bytes=Figure(value=None), fixed_bytes=None)
    fitted = stats.theilslopes(largest.to_numpy(float), largest.index.to_numpy(float))
    slope, low, high = (float(v) for v in (fitted.slope, fitted.low_slope, fitted.high_slope))
    return Growth(per_item_bytes=Figure(value=slope, low=low, high=high), fixed_bytes=float(fitted.intercept))


def fits(frame: pd.DataFrame) -> list[Fit]:
    """What fits of each way of doing each task on each machine; those where nothing ran or failed are left out."""
    told = frame[frame["batch_size"].notna() & frame["status"].isin([*MEASURED, *BOUNDS_BATCH])]
    return [_fit(group) for group in groups(told, line_columns(told))]


def _fit(group: Group) -> Fit:
    ran = group.cells[group.cells["status"].isin(MEASURED)]
    failed = group.cells.loc[group.cells["status"].isin(BOUNDS_BATCH), "batch_size"]
    told, largest = peaks(ran), ran["batch_size"].max()
    # Of several cells with the largest batch the one that took most.
    top = told[told["batch_size"] == largest]
    row = extreme(top, top["peak_bytes"], largest=True) or extreme(ran, ran["batch_size"], largest=True)
    return Fit(
        name=group.name, row=row or group.row, largest=int(largest) if len(ran) else None,
        smallest_oom=int(failed.min()) if len(failed) else None, growth=growth(told),
    )  # fmt: skip


def leaks(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that were looked at for leaks, worst first: leak, undecided, none, by how much memory grew.

    Returns:
        Added: ``growth_bytes_per_step``, the larger of the two slopes (host and device).
    """
    cells = frame[frame["leak_verdict"].isin(VERDICTS)]
    slopes = cells[[f"{begin}_bytes_per_step" for begin in SLOPES.values()]].astype("float64")
    fastest = cells.assign(growth_bytes_per_step=slopes.max(axis=1)).sort_values(
        "growth_bytes_per_step", ascending=False, kind="stable"
    )
    return fastest.sort_values("leak_verdict", key=lambda told: told.map(VERDICTS.index), kind="stable")


def slope_verdict(low: float, high: float) -> str:
    """What one slope says by the ends of its interval; a cell's verdict is the worst of its slopes."""
    if low > LEAK_BYTES_PER_STEP:
        return "leak"
    return "none" if high < LEAK_BYTES_PER_STEP else "undecided"


def verdict_counts(frame: pd.DataFrame) -> dict[str, int]:
    """How many cells have each verdict, those that occur, worst first."""
    counts = frame["leak_verdict"].value_counts()
    return {verdict: int(counts[verdict]) for verdict in VERDICTS if counts.get(verdict)}


def room_for(fit: Fit) -> int | None:
    """The batch at which the line of growth reaches the memory there is: an estimate, for where to search on.

    None where the line is not known to rise, reaches the memory farther than ``MAX_REACH`` times the largest batch
    that ran (too far to follow a line), or at a batch that completed or ran out of memory.
    """
    capacity, line = known(fit.row.get("capacity_bytes")), fit.growth
    if capacity is None or line.fixed_bytes is None or not line.per_item_bytes.value or not line.is_rising:
        return None
    room, largest = math.floor((capacity - line.fixed_bytes) / line.per_item_bytes.value), fit.largest or 0
    is_near = largest < room <= MAX_REACH * largest
    return room if is_near and (fit.smallest_oom is None or room < fit.smallest_oom) else None
