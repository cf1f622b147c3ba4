"""Numbers of searches: the Pareto front of Optuna's samplers, and the batch sizes that ``--batch-size auto`` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.groups import lines, tasks
from analysis.cells.ranking import Ranking, accuracy, intervals_part, rank, speed, step
from analysis.cells.rows import Row, records, with_role
from analysis.cells.usable import front, judged, mask
from analysis.contract.cells import BOUNDS_BATCH
from analysis.contract.choice import is_candidate
from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES, Objective
from analysis.stats.estimate import Figure, known
from analysis.subjects.pruning.quantities import by_study, cell_labels
from analysis.text import joined

_FIGURES = {"throughput": speed, "latency": step, "accuracy": accuracy}
"""Objectives whose figures have intervals."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """One study of a search, which looked for the best cells of a task.

    Cells are in the order of measuring, each with a label that tells it from the others. ``n_asked`` is how many there
    were to be, ``objectives`` are names of ``OBJECTIVES`` in the order asked for. ``front``, shape (len(cells),), is
    true for the complete cells that hold the limits asked for and that no other such cell beats in every objective;
    with one objective for the best.
    """

    name: str
    sampler: str
    n_asked: int | None
    objectives: Sequence[str]
    limits: Limits
    cells: pd.DataFrame
    labels: Sequence[str]
    front: NDArray[np.bool_]

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """Complete cells that hold the limits and have every objective, shape (len(cells),)."""
        return mask(self.cells, lambda row: is_candidate(row, self.objectives, self.limits))

    @property
    def ranking(self) -> Ranking | None:
        """The candidates by the first objective, each with its ``position`` among the cells; None without any."""
        able = zip(records(self.cells), self.candidates, strict=True)
        rows = [row | {"position": i} for i, (row, may) in enumerate(able) if may]
        objective = OBJECTIVES[self.objectives[0]]
        figure = _FIGURES.get(self.objectives[0], lambda row: Figure(value=objective.of_row(row)))
        judge = intervals_part if self.objectives[0] == "accuracy" else None
        return rank(rows, figure, is_lower_better=objective.is_lower_better, judge=judge)

    def values(self, objective: Objective) -> NDArray[np.float64]:
        """An objective of each cell in the unit of its title, NaN where unknown, shape (len(cells),)."""
        found = [objective.of_row(row) for row in judged(self.cells)]
        return objective.scale * np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def searches(frame: pd.DataFrame, descriptions: Mapping[str, Mapping[str, Any]]) -> list[Search]:
    """The searches of a frame of ``identity.with_identity``, as the description of each sweep tells them."""
    found = []
    for sweep, name, rows in by_study(frame, frame["study_name"]):
        config = descriptions.get(sweep, {}).get("config") or {}
        search, limits = config.get("search") or {}, Limits.of(config)
        objectives = [name for name in search.get("objectives", ()) if name in OBJECTIVES]
        if objectives:
            cells = rows.sort_values("study_trial", kind="stable", ignore_index=True)
            found.append(Search(
                name=name, sampler=str(search.get("sampler")), n_asked=search.get("n_trials"), objectives=objectives,
                limits=limits, cells=cells, labels=cell_labels(cells), front=front(cells, objectives, limits),
            ))  # fmt: skip
    return found


@dataclass(frozen=True, kw_only=True)
class BatchSearch:
    """What ``--batch-size auto`` found for one setting, with every batch size tried in order of size.

    ``fastest`` and ``largest`` are None where the search did not end, ``smallest_oom`` where memory ended no size.
    """

    label: str
    rows: Sequence[Row]
    fastest: Row | None
    largest: Row | None
    smallest_oom: int | None
    measured_s: float


def batch_searches(frame: pd.DataFrame) -> list[BatchSearch]:
    """The batch sizes found, one entry for each combination of the other settings."""
    found = []
    for task in tasks(frame[frame["search_role"].notna()]):
        for line in lines(task.cells):
            rows = records(line.cells)
            oom = [int(row["batch_size"]) for row in rows if row["status"] in BOUNDS_BATCH]
            found.append(BatchSearch(
                label=joined(task.name, line.name), rows=rows, fastest=with_role(rows, "fastest"),
                largest=with_role(rows, "largest"), smallest_oom=min(oom, default=None),
                measured_s=sum(known(row["measured_s"]) or 0.0 for row in rows),
            ))  # fmt: skip
    return found
