"""Latency in numbers: which percentiles are known, what a rate costs, which rate holds a deadline. No drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.cells.groups import Group, groups, line_columns, machine_columns, task_columns
from analysis.cells.naming import varying
from analysis.cells.rows import Row, complete, extreme, first, records
from analysis.contract.cells import SERVER
from analysis.contract.choice import KEEPS_UP_RATIO, P99_COLUMNS
from analysis.contract.limits import latency

PERCENTILES = {"p50": "latency_p50_s", "p90": "latency_p90_s", "p95": "latency_p95_s", "p99": "latency_p99_s",
               "p99.9": "latency_p999_s"}  # fmt: skip
"""Names and columns, ascending."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
TAIL = ("latency_p99_s", "tail_low_s", "tail_high_s")
"""A cell's p99 and the ends of its interval, of ``tails.tail_intervals``."""
FRAME_RATES = (100, 60, 30, 20, 10)
"""Frames per second whose period is a deadline that cameras and control loops have."""
COLUMNS = (*PERCENTILES.values(), "n_samples", "n_latency_samples", "steps_per_sample", "rate_per_s", "deadline_s",
           "completed_rate_per_s", "max_rate_per_s", "n_requests", "n_missed", "n_dropped", "queue_mean", "queue_max",
           "latency_p99_high_s", "rate_search_s",
           "scenario", "throughput_items_per_s", "step_median_s", "batch_size", "items_per_step", "item", "device",
           "precision")  # fmt: skip


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """The complete cells with a latency to tell: steps timed one by one, or requests."""
    done = complete(frame)
    known = done[list(PERCENTILES.values())].notna().any(axis=1)
    return done[known | (done["n_samples"].notna() & ~(done["steps_per_sample"] > 1))]


def lowest_tails(frame: pd.DataFrame) -> list[tuple[Group, str, str, Row]]:
    """For each machine and task the cell of each device with the lowest tail, behind the percentile's name and column.

    Devices of one task are compared by one percentile: the 99th where any cell has it, else the highest one known. The
    lowest comes first.
    """
    found = []
    for task in groups(frame, task_columns(frame)):
        known = [p for p in ("p99", "p95", "p90", "p50") if task.cells[PERCENTILES[p]].notna().any()]
        if known:
            column = PERCENTILES[known[0]]
            cells = task.cells[task.cells[column].notna()]
            best = cells.loc[cells.groupby("device", sort=False)[column].idxmin()]
            found += [(task, known[0], column, row) for row in records(best.sort_values(column, kind="stable"))]
    return found


def shortest_steps(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[Row, pd.DataFrame]]:
    """For each task, by its name, and device the cell with the shortest median step, and all cells there are.

    Whether or not it has a tail: in older sweeps steps too short to be timed one by one have a median and no
    percentiles.
    """
    steps = complete(frame)
    steps = steps[(steps["scenario"] != SERVER) & steps["step_median_s"].notna()]
    return {
        (task.name, str(device)): (first(cells.loc[[cells["step_median_s"].idxmin()]]), cells)
        for task in groups(steps, task_columns(frame))
        for device, cells in task.cells.groupby("device", sort=False)
    }


def load_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """The complete cells of the server scenario, with what a load curve is made of.

    Added are ``offered_per_s``, the arrival rate (of a search the highest that held its limit), ``missed_ratio`` and
    ``dropped_ratio`` of the requests, ``is_saturated``: under 90 % of the requests were completed as they came.
    """
    server = complete(frame)
    server = server[server["completed_rate_per_s"].notna()]
    offered = server["rate_per_s"].fillna(server["max_rate_per_s"])
    return server.assign(
        offered_per_s=offered,
        missed_ratio=server["n_missed"] / server["n_requests"],
        dropped_ratio=server["n_dropped"] / server["n_requests"],
        is_saturated=server["completed_rate_per_s"] < KEEPS_UP_RATIO * offered,
    )


def load_curves(frame: pd.DataFrame) -> list[Group]:
    """The load cells by all that is not the rate, each in the order of its rates; those with two rates at least."""
    cells = load_cells(frame)
    cells = cells[cells["offered_per_s"].notna() & cells["latency_p99_s"].notna()]
    machine = machine_columns(frame)  # told even where only one of the page's machines has such cells
    names = [*machine, *line_columns(cells, without=machine), *varying(cells, ["batch_size"])]
    return [replace(curve, cells=curve.cells.sort_values("offered_per_s", kind="stable"))
            for curve in groups(cells, names) if curve.cells["offered_per_s"].nunique() > 1]  # fmt: skip


def held_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """The highest arrival rate that held its deadline, for each setting of the server scenario that had one.

    A search's rate counts, and so does each rate that was a cell of its own: it held if its 99th percentile is
    within the deadline, and its upper bound too where it is known. Added to the setting's first cell are ``held_per_s``
    (NaN if none held), ``held_p99_s``, ``held_p99_high_s`` and ``held_items_per_s`` there, ``search_s``, the seconds of
    a search, and ``failed_per_s``, the lowest rate over it that did not hold (NaN if none was seen: then the true limit
    may be higher).
    """
    cells = load_cells(frame)
    tail = cells[list(P99_COLUMNS)].max(axis=1)
    cells = cells.assign(worst_p99_s=tail)[cells["deadline_s"].notna() & tail.notna()]
    rows = []
    for group in groups(cells, [*line_columns(cells), *varying(cells, ["batch_size", "deadline_s"])]):
        holds = group.cells["worst_p99_s"] <= group.cells["deadline_s"]
        held = group.cells[holds]
        best = extreme(held, held["offered_per_s"], largest=True) or {}
        failed = group.cells.loc[~holds, "offered_per_s"]
        rows.append({
            **group.row, "held_per_s": best.get("offered_per_s"), "held_p99_s": best.get("latency_p99_s"),
            "held_p99_high_s": best.get("latency_p99_high_s"), "search_s": best.get("rate_search_s"),
            "held_items_per_s": best.get("throughput_items_per_s"),
            "failed_per_s": failed[failed > best.get("offered_per_s", 0.0)].min(),
        })  # fmt: skip
    numbers = ("held_per_s", "held_p99_s", "held_p99_high_s", "search_s", "held_items_per_s", "failed_per_s")
    return pd.DataFrame(rows, columns=[*cells.columns, *numbers]).astype(dict.fromkeys(numbers, "float64"))


def deadlines_s(frame: pd.DataFrame) -> list[float]:
    """The deadlines worth telling, ascending: those asked for and the periods of usual frame rates."""
    return sorted({round(float(v), 6) for v in (*frame["deadline_s"].dropna(), *(1 / rate for rate in FRAME_RATES))})


def rates_at(frame: pd.DataFrame, deadlines: Sequence[float]) -> list[tuple[Row, list[Row | None]]]:
    """For each machine, task, device and way of doing it its first row and for each deadline (in s) the fastest cell's.

    That is the cell with the most items per second whose latency, by the rule of every limit (``limits.latency``),
    holds the deadline; None where there is none.
    """
    known = frame[
        frame["throughput_items_per_s"].notna() & frame[["latency_p99_s", "step_median_s"]].notna().any(axis=1)
    ]
    told = []
    for group in groups(known, line_columns(known)):
        fastest = records(group.cells.sort_values("throughput_items_per_s", ascending=False, kind="stable"))
        best = [next((row for row in fastest if (latency(row)[1] or 0.0) <= limit), None) for limit in deadlines]
        told.append((group.row, best))
    return told
