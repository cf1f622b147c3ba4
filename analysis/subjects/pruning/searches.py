"""Numbers of searches: the Pareto front of Optuna's samplers, and the batch sizes that ``--batch-size auto`` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.groups import lines, tasks
from analysis.cells.identity import MACHINE, RUN, stratum_columns
from analysis.cells.naming import in_words, label, varying
from analysis.cells.rows import Row, records, with_role
from analysis.cells.usable import front, judged, mask
from analysis.contract.cells import BOUNDS_BATCH
from analysis.contract.choice import is_candidate
from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES, Objective
from analysis.stats.estimate import known
from analysis.text import joined


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """One study of a search, which looked for the best cells of a task.

    Attributes:
        name: Of the study, with the sweep where several have one of that name.
        sampler: Optuna's, that chose the cells.
        n_asked: Cells that it was to measure.
        objectives: Names of ``OBJECTIVES``, in the order asked for.
        limits: What it was asked to hold.
        cells: Its rows in the order of measuring.
        labels: What tells each row from the others, in words.
        front: True for the complete cells that hold the limits asked for and that no other such cell beats in every
            objective; with one objective the best. Shape (len(cells),).
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
    def has_limits(self) -> bool:
        """Whether cells had limits to hold."""
        return bool(self.limits.asked)

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """Complete cells that hold the limits and have every objective, shape (len(cells),)."""
        return mask(self.cells, lambda row: is_candidate(row, self.objectives, self.limits))

    def values(self, objective: Objective) -> NDArray[np.float64]:
        """An objective of each cell in the unit of its title, NaN where unknown, shape (len(cells),)."""
        found = [objective.of_row(row) for row in judged(self.cells)]
        return objective.scale * np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def searches(frame: pd.DataFrame, descriptions: Mapping[str, Mapping[str, Any]]) -> list[Search]:
    """The searches of the sweeps.

    Args:
        frame: Of ``identity.with_identity``.
        descriptions: What was asked of each sweep, by its name; one without is taken for no search.
    """
    configs = {name: d.get("config") or {} for name, d in descriptions.items()}
    found = []
    for (sweep, study), rows in frame[frame["study_name"].notna()].groupby(["sweep", "study_name"], sort=False):
        config = configs.get(sweep, {})
        search, limits = config.get("search"), Limits.of(config)
        objectives = [name for name in (search or {}).get("objectives", ()) if name in OBJECTIVES]
        if search is None or not objectives:
            continue
        cells = rows.sort_values("study_trial", kind="stable", ignore_index=True)
        names = [c for c in stratum_columns(frame) if c not in {MACHINE, RUN}]
        told = [c for c in (*names, "batch_size") if c in varying(cells, [*names, "batch_size"])]
        is_several = frame.loc[frame["study_name"] == study, "sweep"].nunique() > 1
        found.append(Search(
            name=f"{study}, {sweep}" if is_several else str(study), sampler=str(search.get("sampler")),
            n_asked=search.get("n_trials"), objectives=objectives, limits=limits, cells=cells,
            labels=[_label(row, told) for row in records(cells)], front=front(cells, objectives, limits),
        ))  # fmt: skip
    return found


def _label(row: Row, told: Sequence[str]) -> str:
    return in_words(row, told) or label(row, ["device", "precision", "batch_size"])


@dataclass(frozen=True, kw_only=True)
class BatchSearch:
    """What ``--batch-size auto`` found for one setting.

    Attributes:
        label: The setting in words.
        rows: Every batch size tried, in order of size.
        fastest: Of the sizes measured; None where the search did not end.
        largest: The largest that ran; None likewise.
        smallest_oom: The smallest that did not fit; None where memory ended no size.
        measured_s: Seconds of measuring in all.
    """

    label: str
    rows: Sequence[Row]
    fastest: Row | None
    largest: Row | None
    smallest_oom: int | None
    measured_s: float


def batch_searches(frame: pd.DataFrame) -> list[BatchSearch]:
    """The batch sizes found, one entry for each combination of the other settings.

    Args:
        frame: Of ``identity.with_identity``.
    """
    sought = frame[frame["search_role"].notna()]
    found = []
    for task in tasks(sought):
        for line in lines(task.cells):
            rows = records(line.cells)
            oom = [int(row["batch_size"]) for row in rows if row["status"] in BOUNDS_BATCH]
            found.append(BatchSearch(
                label=joined(task.name, line.name), rows=rows, fastest=with_role(rows, "fastest"),
                largest=with_role(rows, "largest"), smallest_oom=min(oom, default=None),
                measured_s=sum(known(row["measured_s"]) or 0.0 for row in rows),
            ))  # fmt: skip
    return found
