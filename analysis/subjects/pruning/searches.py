"""Numbers of searches: the Pareto front of Optuna's samplers, and the batch sizes that ``--batch-size auto`` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.identity import MACHINE, RUN, line_columns, lines, tasks, words
from analysis.cells.naming import label, varying
from analysis.cells.rows import Row, memory_bytes, records, with_role
from analysis.stats.estimate import known
from analysis.stats.pareto import pareto_mask


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a search makes best.

    Attributes:
        column: Of the frame that ``searches`` returns.
        is_maximised: More is better.
        title: With its unit, for tables and axes.
        scale: From the column's unit to the title's.
    """

    column: str
    is_maximised: bool
    title: str
    scale: float = 1.0


OBJECTIVES = {
    "throughput": Objective(column="throughput_items_per_s", is_maximised=True, title="throughput (items/s)"),
    "latency": Objective(column="latency_s", is_maximised=False, title="median step (ms)", scale=1e3),
    "energy_per_item": Objective(column="energy_per_item_j", is_maximised=False, title="energy (J/item)"),
    "accuracy": Objective(column="accuracy_best", is_maximised=True, title="best accuracy (%)", scale=100.0),
    "memory": Objective(column="memory_bytes", is_maximised=False, title="peak memory (GiB)", scale=2.0**-30),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """One study of a search, which looked for the best cells of a task.

    Attributes:
        name: Of the study, with the sweep where several have one of that name.
        sampler: Optuna's, that chose the cells.
        n_asked: Cells that it was to measure.
        objectives: Names of ``OBJECTIVES``, in the order asked for.
        cells: Its rows in the order of measuring, with the objectives' columns.
        labels: What tells each row from the others, in words.
        front: True for the complete cells that hold the limits asked for and that no other such cell beats in every
            objective; with one objective the best. Shape (len(cells),).
    """

    name: str
    sampler: str
    n_asked: int | None
    objectives: Sequence[str]
    cells: pd.DataFrame
    labels: Sequence[str]
    front: NDArray[np.bool_]

    @property
    def has_limits(self) -> bool:
        """Whether cells had limits to hold."""
        return bool(self.cells["constraints_held"].notna().any())

    @property
    def candidates(self) -> NDArray[np.bool_]:
        """Complete cells that hold the limits and have every objective, shape (len(cells),)."""
        return _candidates(self.cells, self.objectives)


def searches(frame: pd.DataFrame, descriptions: Mapping[str, Mapping[str, Any]]) -> list[Search]:
    """The searches of the sweeps.

    Args:
        frame: Of ``strata.with_identity``.
        descriptions: What was asked of each sweep, by its name; one without is taken for no search.
    """
    asked = {name: (d.get("config") or {}).get("search") for name, d in descriptions.items()}
    found = []
    for (sweep, study), rows in frame[frame["study_name"].notna()].groupby(["sweep", "study_name"], sort=False):
        search = asked.get(sweep)
        objectives = [name for name in (search or {}).get("objectives", ()) if name in OBJECTIVES]
        if search is None or not objectives:
            continue
        cells = _with_objectives(rows).sort_values("study_trial", kind="stable", ignore_index=True)
        names = [c for c in line_columns(frame) if c not in {MACHINE, RUN}]
        told = [c for c in (*names, "batch_size") if c in varying(cells, [*names, "batch_size"])]
        is_several = frame.loc[frame["study_name"] == study, "sweep"].nunique() > 1
        found.append(Search(
            name=f"{study}, {sweep}" if is_several else str(study), sampler=str(search.get("sampler")),
            n_asked=search.get("n_trials"), objectives=objectives, cells=cells,
            labels=[_label(row, told) for row in records(cells)], front=_front(cells, objectives),
        ))  # fmt: skip
    return found


def _label(row: Row, told: Sequence[str]) -> str:
    return words(row, told) or label(row, ["device", "precision", "batch_size"])


def _with_objectives(rows: pd.DataFrame) -> pd.DataFrame:
    reserved = rows["device_peak_reserved_bytes"].fillna(memory_bytes(rows))
    return rows.assign(latency_s=rows["step_median_s"].fillna(rows["latency_p50_s"]), memory_bytes=reserved)


def _candidates(cells: pd.DataFrame, objectives: Sequence[str]) -> NDArray[np.bool_]:
    is_whole = (cells["status"] == "complete") & (cells["constraints_held"] != False)  # noqa: E712 (null holds)
    known_all = cells[[OBJECTIVES[name].column for name in objectives]].notna().all(axis=1)
    mask: NDArray[np.bool_] = (is_whole & known_all).to_numpy(dtype=np.bool_)
    return mask


def _front(cells: pd.DataFrame, objectives: Sequence[str]) -> NDArray[np.bool_]:
    wanted = [OBJECTIVES[name] for name in objectives]
    able = _candidates(cells, objectives)
    front = np.zeros(len(cells), dtype=np.bool_)
    front[able] = pareto_mask(
        cells[able], maximise=[o.column for o in wanted if o.is_maximised],
        minimise=[o.column for o in wanted if not o.is_maximised],
    )  # fmt: skip
    return front


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
        frame: Of ``strata.with_identity``.
    """
    sought = frame[frame["search_role"].notna()]
    found = []
    for task, of_task in tasks(sought):
        for name, cells in lines(of_task):
            rows = records(cells)
            oom = [int(row["batch_size"]) for row in rows if row["status"] == "oom"]
            found.append(BatchSearch(
                label=", ".join(word for word in (task, name) if word), rows=rows, fastest=with_role(rows, "fastest"),
                largest=with_role(rows, "largest"), smallest_oom=min(oom, default=None),
                measured_s=sum(known(row["measured_s"]) or 0.0 for row in rows),
            ))  # fmt: skip
    return found
