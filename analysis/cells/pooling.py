"""The runs of each cell as one line: repeats, seeds and sweeps of the same cells on one machine.

The ONE place where they are pooled; every page but the comparison reads what comes out. A pooled line's interval holds
what changes from one run to the next, by ``stats.between_runs``; one run's own cannot know it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.rows import Row, records
from analysis.contract.runs import ACCURACY_SD, N_RUNS, SAME_CELL, SPEED_SD, SPEEDS, change, pooled
from analysis.read.sweep import with_columns
from analysis.stats import between_runs

SAME_PLACE = ("host", "device_name", "cpu_name", "torch_version", "torchvision_version", "driver_version", "n_threads",
              "allocator_settings", "device_settings", "input_source", "input_shape", "weights", "n_train_items",
              "n_heldout_items")  # fmt: skip
"""What else the runs of one line share: the machine, what is installed there, and the work."""
STEP = ("step_median_s", "step_median_low_s", "step_median_high_s")
MOVED = "moved_ratio"
"""By which ratio, over 1, the first cell of a device moved when it was measured again; null where none was."""
MIN_FREEDOM = 2
"""Degrees of freedom from which an interval over runs is told; of one that of Student's t is 13 deviations wide."""


def with_runs_pooled(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of ``load_sweeps`` with one row a cell, in the order of their first runs; ``attrs`` stay.

    Added are ``n_runs`` (1 of a single one), ``throughput_sd_ratio``, ``accuracy_sd``, ``run_speeds``, ``moved_ratio``.
    The trial key is that of the cell's first run, whose rounds and samples stand for it.
    """
    attrs, same = frame.attrs, [name for name in (*SAME_CELL, *SAME_PLACE) if name in frame]
    numbers = dict.fromkeys((N_RUNS, SPEED_SD, ACCURACY_SD, MOVED), "float64")
    frame = with_columns(frame, {**numbers, SPEEDS: "object"})
    is_double = frame[same].duplicated(keep=False)  # of a subset pandas looks through all columns
    if is_double.any():
        # A flag that the runs disagree on, or that is of one run alone, becomes null, which no bool column holds.
        if flags := list(frame.select_dtypes("bool")):
            frame[flags] = frame[flags].astype("object")  # of a mapping astype would take all columns one by one
        rows = records(frame[is_double])
        places = dict(zip(map(_key, rows), frame.index[is_double], strict=True))
        found = pooled(rows, same)
        lines = pd.DataFrame(found, columns=frame.columns, index=[places[_key(row)] for row in found])
        frame = pd.concat([frame[~is_double], _of_types(lines, frame)]).sort_index().reset_index(drop=True)
        frame = _judged(frame.copy(), rows, same)  # a copy has few blocks
    frame[N_RUNS] = frame[N_RUNS].fillna(1)
    frame.attrs = attrs
    return frame


def _of_types(lines: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in a frame's types, one type at a time: each of hundreds of columns by itself takes most of the pooling."""
    columns: dict[Any, list[str]] = {}
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        columns.setdefault(dtype, []).append(name)
    return pd.concat([lines[names].astype(dtype) for dtype, names in columns.items()], axis=1)[list(frame.columns)]


def _key(row: Row) -> tuple[object, object]:
    return row["sweep"], row["trial_key"]


def _place(row: Row) -> tuple[object, object]:
    return row.get("host"), row.get("device")


def _judged(frame: pd.DataFrame, rows: Sequence[Row], same: Sequence[str]) -> pd.DataFrame:
    """With intervals that know how far a device's cells move from run to run, or where too few tell, with how far."""
    spreads: dict[tuple[object, object], list[list[Sequence[float]]]] = {}
    for row in records(frame[frame[SPEED_SD].notna()]):
        spreads.setdefault(_place(row), []).append([row[SPEEDS]])
    known_of = {place: between_runs.pooled(cells) for place, cells in spreads.items()}
    moves, moved, ends = _moves(rows, same), dict[object, float](), dict[object, list[float]]()
    for index, row in zip(frame.index, records(frame), strict=True):
        spread = known_of.get(_place(row), between_runs.UNKNOWN)
        if spread.freedom < MIN_FREEDOM:
            moved |= {index: moves[_place(row)]} if _place(row) in moves else {}
        elif told := _interval(row, spread):
            ends[index] = told
    if moved:
        frame.loc[list(moved), MOVED] = list(moved.values())
    if ends:
        frame.loc[list(ends), [*THROUGHPUT[1:], *STEP[1:]]] = list(ends.values())
        frame.loc[list(ends), "is_precise"] = None  # which is of the interval within a run
    return frame


def _moves(rows: Sequence[Row], same: Sequence[str]) -> dict[tuple[object, object], float]:
    """The largest ratio between two runs of a cell, by host and device."""
    firsts: dict[tuple[object, ...], Row] = {}
    found: dict[tuple[object, object], float] = {}
    for row in rows:
        first = firsts.setdefault(tuple(str(row[name]) for name in same), row)
        moved = change(first, row) if row["status"] == "complete" == first["status"] and first is not row else None
        if moved is not None:
            ratio = math.exp(abs(math.log1p(moved)))
            found[_place(row)] = max(found.get(_place(row), 1.0), ratio)
    return found


def _interval(row: Row, spread: between_runs.Spread) -> list[float] | None:
    """The ends of a cell's rate, and of its step, over its runs; of one that has one run, how far another could lie."""
    found = spread.interval(row[SPEEDS] if isinstance(row[SPEEDS], tuple) else [row[THROUGHPUT[0]]])
    if row["status"] != "complete" or not (found.value and found.low and found.high):
        return None
    step = row[STEP[0]]
    return [found.low, found.high, step * found.value / found.high, step * found.value / found.low]
