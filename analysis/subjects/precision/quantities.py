"""Numbers of every precision against fp32 of the same cell: speed, memory, energy and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.groups import tasks
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import in_words, label, varying
from analysis.cells.ranking import speed
from analysis.cells.rows import Row, are_peaks_comparable, memory_bytes, records
from analysis.contract.cells import MEASURED, SERVER
from analysis.stats.estimate import Figure, geometric_mean, known, ratio
from analysis.text import is_missing, joined

BASE = "fp32"
AGREEMENT = ("max_abs_diff", "max_softmax_diff", "top1_agreement_ratio")
COLUMNS = (*AGREEMENT, "n_nonfinite", "reference", "energy_per_item_j", "scenario", "rate_per_s", "latency_p50_s",
           "n_compared", "rms_rel_diff", "rounding_rel_diff", "computed_dtype", "agreement_reason")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell in some precision and the same cell in fp32; ratios are unknown unless both were measured.

    ``speed`` is the cell's over fp32's (of a server under a given load: fp32's median latency over the cell's).
    """

    task: str  # what is done, in words; empty where all cells do the same
    kind: str  # what tells the cell from the task's others but batch size, precision and device, in words
    precision: str
    row: Row
    base: Row  # in fp32
    speed: Figure
    memory: float | None  # its peak over fp32's
    energy: float | None  # its joules per item over fp32's

    @property
    def place(self) -> str:
        """The device, and the machine or the run where there are several."""
        return label(self.row, ["device", MACHINE, RUN])

    @property
    def line(self) -> str:
        """What the pairs of other batch sizes share: the precision, and the kind where there are several."""
        return joined(self.precision, self.kind)

    @property
    def batch_size(self) -> float:
        return float(self.row["batch_size"])

    @property
    def is_measured(self) -> bool:
        """Both cells were measured."""
        return self.speed.value is not None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A precision on a device over all cells of a task.

    ``speed``, ``memory`` and ``energy`` are geometric means; the interval of the speed holds the noise of those cells,
    not which were chosen. ``best`` is the fastest cell of all batch sizes over the fastest in fp32, those of which only
    one worked included. ``worst`` has the worst of the cells for each column of ``AGREEMENT``, ``base_worst`` that of
    the fp32 cells: what the device alone does, before any rounding of the precision.
    """

    task: str
    place: str
    precision: str
    n_cells: int  # pairs of which both were measured
    speed: Figure
    slowest: float
    fastest: float
    best: Figure
    memory: float | None
    energy: float | None
    worst: dict[str, float | None]
    base_worst: dict[str, float | None]


def pairs(frame: pd.DataFrame) -> list[Pair]:
    """Every cell in another precision that has its like in fp32, with it, in the order of the rows."""
    found = []
    for task in tasks(frame.assign(peak_bytes=memory_bytes(frame))):
        columns = [*(c for c in stratum_columns(frame) if c != "precision"), "batch_size"]
        told = [c for c in varying(task.cells, columns) if c not in {"device", MACHINE, RUN, "batch_size"}]
        keyed = [(tuple(None if is_missing(row[c]) else row[c] for c in columns), row) for row in records(task.cells)]
        bases = {key: row for key, row in keyed if row["precision"] == BASE}
        found += [
            _pair(task.name, in_words(row, told), row, bases[key])
            for key, row in keyed
            if row["precision"] != BASE and key in bases
        ]
    return found


def _pair(task: str, kind: str, row: Row, base: Row) -> Pair:
    are_measured = row["status"] in MEASURED and base["status"] in MEASURED
    return Pair(
        task=task, kind=kind, precision=str(row["precision"]), row=row, base=base,
        speed=_speed(row, base) if are_measured else Figure(value=None),
        memory=_over(row, base, "peak_bytes") if are_measured and are_peaks_comparable(row, base) else None,
        energy=_over(row, base, "energy_per_item_j") if are_measured else None,
    )  # fmt: skip


def _is_under_load(row: Row) -> bool:
    return bool(row["scenario"] == SERVER) and known(row["rate_per_s"]) is not None


def _speed(row: Row, base: Row) -> Figure:
    if _is_under_load(row):
        # Under a given load the throughput is the load; what the precision changes is how long a request takes.
        return ratio(Figure(value=known(base["latency_p50_s"])), Figure(value=known(row["latency_p50_s"])))
    return ratio(speed(row), speed(base))


def _over(row: Row, base: Row, column: str) -> float | None:
    ours, theirs = known(row[column]), known(base[column])
    return ours / theirs if ours is not None and theirs else None


def overviews(found: Sequence[Pair]) -> list[Overview]:
    """One for each task, device and precision that has a pair of which both cells were measured."""
    grouped: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in found:
        grouped.setdefault((pair.task, pair.place, pair.precision), []).append(pair)
    return [_overview(key, members) for key, members in grouped.items() if any(p.is_measured for p in members)]


def _overview(key: tuple[str, str, str], every: Sequence[Pair]) -> Overview:
    members = [pair for pair in every if pair.is_measured]
    speeds = [pair.speed.value for pair in members if pair.speed.value is not None]
    return Overview(
        task=key[0], place=key[1], precision=key[2], n_cells=len(members),
        speed=geometric_mean([pair.speed for pair in members]), slowest=min(speeds), fastest=max(speeds),
        best=ratio(_fastest([p.row for p in every]), _fastest([p.base for p in every])),
        memory=_mean([p.memory for p in members]), energy=_mean([p.energy for p in members]),
        worst=_worst([p.row for p in members]), base_worst=_worst([p.base for p in members]),
    )  # fmt: skip


def _fastest(rows: Sequence[Row]) -> Figure:
    """The highest throughput of those measured; unknown where servers under given loads are among them."""
    if any(map(_is_under_load, rows)):
        return Figure(value=None)
    return max((speed(row) for row in rows if row["status"] in MEASURED), key=lambda f: f.value or 0.0)


def _mean(values: Sequence[float | None]) -> float | None:
    return geometric_mean([Figure(value=v) for v in values if v is not None]).value


def _worst(rows: Sequence[Row]) -> dict[str, float | None]:
    values = {name: [v for row in rows if (v := known(row[name])) is not None] for name in AGREEMENT}
    lowest = min(values.pop("top1_agreement_ratio"), default=None)
    return {"top1_agreement_ratio": lowest, **{name: max(found, default=None) for name, found in values.items()}}


def unequal_outcomes(found: Sequence[Pair]) -> list[Pair]:
    """The pairs of which one cell was measured and the other ended otherwise."""
    return [p for p in found if (p.row["status"] in MEASURED) != (p.base["status"] in MEASURED)]
