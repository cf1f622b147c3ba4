"""Numbers of every precision against fp32 of the same cell: speed, memory, energy and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.cells.groups import tasks
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import in_words, label, varying
from analysis.cells.rows import Row, memory_bytes, records
from analysis.cells.usable import speed
from analysis.contract.cells import MEASURED, SERVER
from analysis.stats.estimate import Figure, geometric_mean, known, ratio
from analysis.text import joined

BASE = "fp32"
AGREEMENT = ("max_abs_diff", "max_softmax_diff", "top1_agreement_ratio")
COLUMNS = (*AGREEMENT, "n_nonfinite", "reference", "energy_per_item_j", "scenario", "rate_per_s", "latency_p50_s")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A cell in some precision and the same cell in fp32.

    Attributes:
        task: What is done, in words; empty where all cells do the same.
        kind: What tells the cell from the task's others but batch size, precision and device, in words.
        precision: Of the cell.
        row: The cell.
        base: The same cell in fp32.
        speed: The cell's speed over fp32's (of a server under a given load: fp32's median latency over the cell's).
            Unknown unless both were measured.
        memory: Its peak memory over fp32's.
        energy: Its joules per item over fp32's.
    """

    task: str
    kind: str
    precision: str
    row: Row
    base: Row
    speed: Figure
    memory: float | None
    energy: float | None

    @property
    def device(self) -> str:
        return str(self.row["device"])

    @property
    def place(self) -> str:
        """The device, and the machine or the run where there are several."""
        return place(self.row)

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

    Attributes:
        task: As of its pairs.
        place: As of its pairs.
        precision: Likewise.
        n_cells: Pairs of which both were measured.
        speed: Geometric mean over them; its interval holds the noise of those cells, not which were chosen.
        slowest: The smallest ratio among them.
        fastest: The largest.
        best: The fastest cell of all batch sizes over the fastest in fp32, those of which only one worked included.
        memory: Geometric mean; None where no pair has both.
        energy: Likewise.
        worst: For each column of ``AGREEMENT`` the worst of the cells; None where none has it.
        base_worst: The same of the fp32 cells: what the device alone does, before any rounding of the precision.
    """

    task: str
    place: str
    precision: str
    n_cells: int
    speed: Figure
    slowest: float
    fastest: float
    best: Figure
    memory: float | None
    energy: float | None
    worst: dict[str, float | None]
    base_worst: dict[str, float | None]


def place(row: Row) -> str:
    """A row's device, and its machine or run where there are several."""
    return label(row, ["device", MACHINE, RUN])


def pairs(frame: pd.DataFrame) -> list[Pair]:
    """Every cell in another precision with the same cell in fp32, in the order of the rows.

    Args:
        frame: Of ``identity.with_identity``; a cell without its like in fp32 is left out.
    """
    found = []
    for task in tasks(frame.assign(peak_bytes=memory_bytes(frame))):
        columns = [*(c for c in stratum_columns(frame) if c != "precision"), "batch_size"]
        told = [c for c in varying(task.cells, columns) if c not in {"device", MACHINE, RUN, "batch_size"}]
        keys = (
            task.cells[columns]
            .astype(object)
            .where(task.cells[columns].notna(), None)
            .itertuples(index=False, name=None)
        )
        keyed = list(zip(keys, records(task.cells), strict=True))
        bases = {key: row for key, row in keyed if row["precision"] == BASE}
        found += [
            _pair(task.name, in_words(row, told), row, bases[key])
            for key, row in keyed
            if row["precision"] != BASE and key in bases
        ]
    return found


def _pair(task: str, kind: str, row: Row, base: Row) -> Pair:
    return Pair(
        task=task, kind=kind, precision=str(row["precision"]), row=row, base=base, speed=_speed(row, base),
        memory=_over(row, base, "peak_bytes"), energy=_over(row, base, "energy_per_item_j"),
    )  # fmt: skip


def _speed(row: Row, base: Row) -> Figure:
    if row["status"] not in MEASURED or base["status"] not in MEASURED:
        return Figure(value=None)
    if row["scenario"] == SERVER and known(row["rate_per_s"]) is not None:
        # Under a given load the throughput is the load; what the precision changes is how long a request takes.
        return ratio(Figure(value=known(base["latency_p50_s"])), Figure(value=known(row["latency_p50_s"])))
    return ratio(speed(row), speed(base))


def _over(row: Row, base: Row, column: str) -> float | None:
    ours, theirs = known(row[column]), known(base[column])
    is_measured = row["status"] in MEASURED and base["status"] in MEASURED
    return ours / theirs if is_measured and ours is not None and theirs else None


def overviews(found: Sequence[Pair]) -> list[Overview]:
    """One for each task, device and precision that has a pair of which both cells were measured."""
    grouped: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in found:
        grouped.setdefault((pair.task, pair.place, pair.precision), []).append(pair)
    return [_overview(key, members) for key, members in grouped.items() if any(p.is_measured for p in members)]


def _overview(key: tuple[str, str, str], every: Sequence[Pair]) -> Overview:
    members = [pair for pair in every if pair.is_measured]
    speeds = [pair.speed.value for pair in members if pair.speed.value is not None]
    best, base_best = _fastest([p.row for p in every]), _fastest([p.base for p in every])
    return Overview(
        task=key[0], place=key[1], precision=key[2], n_cells=len(members),
        speed=geometric_mean([pair.speed for pair in members]), slowest=min(speeds), fastest=max(speeds),
        best=ratio(best, base_best), memory=_mean([p.memory for p in members]),
        energy=_mean([p.energy for p in members]), worst=_worst([p.row for p in members]),
        base_worst=_worst([p.base for p in members]),
    )  # fmt: skip


def _fastest(rows: Sequence[Row]) -> Figure:
    """The highest throughput of those measured; unknown where servers under given loads are among them."""
    if any(row["scenario"] == SERVER and known(row["rate_per_s"]) is not None for row in rows):
        return Figure(value=None)
    measured = [row for row in rows if row["status"] in MEASURED]
    return max((speed(row) for row in measured), key=lambda f: f.value or 0.0)


def _mean(values: Sequence[float | None]) -> float | None:
    return geometric_mean([Figure(value=v) for v in values if v is not None]).value


def _worst(rows: Sequence[Row]) -> dict[str, float | None]:
    worst: dict[str, float | None] = {}
    for name in AGREEMENT:
        values = [v for row in rows if (v := known(row[name])) is not None]
        pick: Any = min if name == "top1_agreement_ratio" else max
        worst[name] = pick(values) if values else None
    return worst


def unequal_outcomes(found: Sequence[Pair]) -> list[Pair]:
    """The pairs of which one cell was measured and the other ended otherwise."""
    return [p for p in found if (p.row["status"] in MEASURED) != (p.base["status"] in MEASURED)]


def accuracy_change(pair: Pair) -> float | None:
    """Best held-out accuracy less that of fp32, as a share; None where nothing was trained."""
    ours, theirs = known(pair.row["accuracy_best"]), known(pair.base["accuracy_best"])
    return None if ours is None or theirs is None else ours - theirs
