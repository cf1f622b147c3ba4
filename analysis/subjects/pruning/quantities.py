"""Numbers of pruning: which cells were given up, against what, what that saved, and whether it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from analysis.cells.columns import STRATUM
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import in_words, label, varying
from analysis.cells.ranking import speed
from analysis.cells.rows import Row, records
from analysis.contract.objectives import OBJECTIVES, PRUNE_ON, told_values
from analysis.contract.pruners import PRUNERS
from analysis.stats.estimate import Figure, known
from analysis.text import is_missing

COLUMNS = ("study_name", "study_trial", "pruned_at_round", "pruned_on", "pruned_against", "search_role", "measured_s",
           "wall_s", "constraints_held", "items_per_step")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a study; the label says what tells it from the study's others."""

    label: str
    row: Row

    @property
    def status(self) -> str:
        return str(self.row["status"])

    @property
    def spent_s(self) -> float | None:
        """Seconds of measuring (training); None if it was not measured."""
        return known(self.row["measured_s"])

    @property
    def n_rounds(self) -> int | None:
        """Rounds that it was measured for; of a pruned cell the round after which it was stopped, from 1."""
        at, n = known(self.row["pruned_at_round"]), known(self.row["n_rounds"])
        return int(at) + 1 if at is not None else None if n is None else int(n)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The cells that were compared with each other in the order of the grid, as the sweep's Optuna study."""

    name: str
    cells: Sequence[Cell]

    @property
    def pruned(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.status == "pruned"]

    @property
    def complete(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.status == "complete"]

    @property
    def pruned_on(self) -> str | None:
        """The figure that its pruned cells were judged by."""
        return next((str(c.row["pruned_on"]) for c in self.pruned if not is_missing(c.row["pruned_on"])), None)


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Seconds that were not spent on pruned cells.

    ``typical`` is a complete cell of the study: median, shortest and longest; unknown where none is complete. ``saved``
    is what the pruned cells would have taken at the median, less what they took (``spent_s``, None where no row tells);
    its ends are at the shortest and at the longest. It is negative where a pruned cell took longer than a whole one.
    ``whole_s`` was spent on the complete cells.
    """

    typical: Figure
    spent_s: float | None
    whole_s: float
    saved: Figure

    @property
    def share(self) -> float | None:
        """Saved over what all of it would have taken without pruning."""
        if self.saved.value is None or self.spent_s is None:
            return None
        whole = self.whole_s + self.spent_s + self.saved.value
        return self.saved.value / whole if whole > 0 else None


def studies(frame: pd.DataFrame) -> list[Study]:
    """The studies of a frame of ``identity.with_identity``, in the order of its rows.

    Cells without a study (an older schema) are put together by task, device and precision, as a grid's studies are.
    """
    columns = [c for c in STRATUM if c not in {"memory_format", "compile", "implementation", "runtime", "feed"}]
    strata = pd.Series([label(row, columns) for row in records(frame[columns])], index=frame.index, dtype=object)
    found = []
    for _, name, rows in by_study(frame, frame["study_name"].where(frame["study_name"].notna(), strata)):
        told = zip(cell_labels(rows), records(rows), strict=True)
        found.append(Study(name=name, cells=[Cell(label=words, row=row) for words, row in told]))
    return found


def by_study(frame: pd.DataFrame, names: pd.Series) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Sweep, name and rows of each study; the name with the sweep where several have one of that name."""
    n_sweeps = frame.groupby(names)["sweep"].nunique()
    for (sweep, name), rows in frame.groupby(["sweep", names], sort=False):
        yield sweep, f"{name}, {sweep}" if n_sweeps[name] > 1 else str(name), rows


def cell_labels(cells: pd.DataFrame) -> list[str]:
    """What tells each of a study's cells from its others, in words."""
    told = [c for c in varying(cells, [*stratum_columns(cells), "batch_size"]) if c not in {MACHINE, RUN}]
    return [in_words(row, told) or label(row, ["device", "precision", "batch_size"]) for row in records(cells)]


def saving(study: Study, column: str = "measured_s") -> Saving:
    """What pruning saved in a study.

    The estimate is that a pruned cell would have taken what the median complete cell of its study took, and at least
    what the shortest, at most what the longest took: in ``measured_s`` of measuring alone, in ``wall_s`` with set-up
    and warm-up.
    """
    whole = [v for cell in study.complete if (v := known(cell.row[column])) is not None]
    spent = [v for cell in study.pruned if (v := known(cell.row[column])) is not None]
    typical = saved = Figure(value=None)
    if whole:
        typical = Figure(value=median(whole), low=min(whole), high=max(whole))
    if whole and spent:
        value, low, high = (v * len(spent) - sum(spent) for v in (median(whole), min(whole), max(whole)))
        saved = Figure(value=value, low=low, high=high)
    return Saving(typical=typical, spent_s=sum(spent) if spent else None, whole_s=sum(whole), saved=saved)


def total(savings: Sequence[Saving]) -> Saving:
    """The sum over studies; unknown studies (no complete cell) count as nothing saved."""
    saved = Figure(value=None)
    if any(s.saved.value is not None for s in savings):
        ends = ("value", "low", "high")
        saved = Figure(**{end: math.fsum(getattr(s.saved, end) or 0.0 for s in savings) for end in ends})
    spent = [s.spent_s for s in savings if s.spent_s is not None]
    return Saving(typical=Figure(value=None), spent_s=math.fsum(spent) if spent else None,
                  whole_s=math.fsum(s.whole_s for s in savings), saved=saved)  # fmt: skip


def judged(row: Row) -> Figure:
    """The figure that a cell was pruned on, over all its rounds, with its interval where known, oriented as it is."""
    if row["pruned_on"] == "throughput":
        return speed(row)
    objective = OBJECTIVES.get(row["pruned_on"])
    value = objective.of_row(row) if objective else None
    if row["pruned_on"] != "latency":
        return Figure(value=value)
    return Figure(value=value, low=known(row["step_median_low_s"]), high=known(row["step_median_high_s"]))


def may_be_best(study: Study, cell: Cell) -> bool | None:
    """Whether a pruned cell's interval reaches that of the study's best complete cell; None where one is unknown."""
    own = judged(cell.row)
    others = [judged({**other.row, "pruned_on": cell.row["pruned_on"]}) for other in study.complete]
    others = [other for other in others if other.value is not None]
    if own.low is None or own.high is None or not others:
        return None
    objective = OBJECTIVES[cell.row["pruned_on"]]
    best = max(others, key=lambda f: objective.gain(f.value or 0.0))
    if objective.is_lower_better:
        return None if best.high is None else own.low <= best.high
    return None if best.low is None else own.high >= best.low


def progress(cell: Cell, rounds: pd.DataFrame, figure: str) -> dict[int, float]:
    """What the pruner was told of a cell, by the number of its rounds so far; left out are those without the figure."""
    if figure not in PRUNE_ON:
        return {}
    pruner = PRUNERS.get(str(cell.row.get("pruner")), PRUNERS["none"])
    per_step = known(cell.row["items_per_step"]) or 1.0
    return told_values(figure, records(rounds), per_step, running=pruner.takes_estimates)
