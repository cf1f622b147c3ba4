"""A coverage sweep as tables: matrix per family, counts, what does not work, what is wrong, where devices overtake."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pandas as pd

from analysis.cells.rows import records
from analysis.page.columns import Column, column_table, names
from analysis.stats.estimate import known
from analysis.subjects.coverage.load import DIRECTIONS, DTYPES, FASTER, VERDICTS, WHOLES, WORKS
from analysis.text import MISSING, counted, escape, shortened, significant, table

MAX_REASON = 240
MAX_SLOWER = 20


def _present(frame: pd.DataFrame, column: str, order: Sequence[str]) -> list[str]:
    return [value for value in order if (frame[column] == value).any()]


def _device(frame: pd.DataFrame) -> list[str]:
    """The column that names the device, where there are several."""
    return ["device"] if frame["device"].nunique() > 1 else []


def matrix(frame: pd.DataFrame, direction: str) -> str:
    """Families (rows) by type (columns): operations that work over those run, of one device and direction."""
    mine = frame[frame["direction"] == direction]
    dtypes = _present(mine, "dtype", DTYPES)
    rows = []
    for (source, family), group in mine.groupby(["source", "family"]):
        cells = []
        for dtype in dtypes:
            outcomes = group.loc[group["dtype"] == dtype, "outcome"]
            cells.append(f"{outcomes.isin(WORKS).sum()}/{len(outcomes)}" if len(outcomes) else "")
        rows.append([escape(family), escape(source), *cells])
    totals = [mine.loc[mine["dtype"] == d, "outcome"] for d in dtypes]
    rows.append(["**all**", "", *(f"**{t.isin(WORKS).sum()}/{len(t)}**" for t in totals)])
    return table(["family", "source", *dtypes], rows, n_left=2)


def wholes(frame: pd.DataFrame) -> str:
    """Whole models and workloads, where a prediction has them: which directions work, and what stands in the way."""
    mine = frame[frame["source"].isin(WHOLES)]
    rows = []
    for (device, family, operation), group in mine.groupby(["device", "family", "operation"], sort=False):
        told = [f"{row['direction']}: {row['outcome']}" for row in records(group)]
        reasons = dict.fromkeys(shortened(str(reason), MAX_REASON) for reason in group["reason"].dropna())
        rows.append([escape(operation), escape(family), escape(device), "; ".join(told), escape("; ".join(reasons))])
    heads = ["what", "kind", "device", "outcome", "reason"]
    return table(heads, rows, n_left=len(heads)) if rows else ""


def counts(frame: pd.DataFrame) -> str:
    """Rows by device, type and direction, and how they ended."""
    shown = _present(frame, "outcome", VERDICTS)
    rows = []
    for key in itertools.product(sorted(frame["device"].unique()), DTYPES, DIRECTIONS):
        ended = frame.loc[(frame[["device", "dtype", "direction"]] == list(key)).all(axis=1), "outcome"]
        if len(ended):
            rows.append([*map(escape, key), *(str((ended == v).sum()) for v in shown), str(len(ended))])
    return table(["device", "dtype", "direction", *shown, "all"], rows, n_left=3)


def failures(frame: pd.DataFrame, outcomes: Sequence[str]) -> str:
    """What ended in one of the outcomes, with its reason; types of one operation and reason share a row."""
    chosen = frame[frame["outcome"].isin(outcomes)]
    rows = []
    words = [*_device(frame), "operation", "family", "outcome"]
    for _, group in chosen.groupby(["device", "family", "operation", "outcome"], sort=False):
        where = [f"{direction}: {' '.join(_present(group[group['direction'] == direction], 'dtype', DTYPES))}"
                 for direction in _present(group, "direction", DIRECTIONS)]  # fmt: skip
        reasons = list(dict.fromkeys(shortened(str(reason), MAX_REASON) for reason in group["reason"].fillna("")))
        more = f" (and {counted(len(reasons) - 1, 'other text')})" if len(reasons) > 1 else ""
        rows.append([*(escape(group.iloc[0][c]) for c in words), "; ".join(where), escape(reasons[0]) + more])
    heads = [*_device(frame), "operation", "family", "verdict", "types", "reason"]
    return table(heads, rows, n_left=len(heads)) if rows else ""


def wrong(frame: pd.DataFrame, outcome: str) -> str:
    """What disagrees with the reference, worst first."""
    worst = frame[frame["outcome"] == outcome].sort_values(["rounding_units", "tolerance_ratio"], ascending=False)
    words = names([*_device(frame), "operation", "dtype", "direction"])
    return column_table(records(worst), [
        *words,
        Column("off by", lambda row: _number(row["max_abs_diff"])),
        Column("over the tolerance", lambda row: _number(row["tolerance_ratio"])),
        Column("roundings", lambda row: _number(row["rounding_units"])),
        Column("samples", lambda row: f"{int(row['n_wrong'])}/{int(row['n_compared'])}"),
    ], n_left=len(words), max_rows=len(worst))  # fmt: skip


def _number(value: object) -> str:
    found = known(value)
    return MISSING if found is None else "NaN or infinity" if found == math.inf else significant(found)


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with times of the device and the CPU, with the ratio of both at the largest size as ``speedup``."""
    has_times = frame["timing_cpu_s"].map(lambda seconds: hasattr(seconds, "__len__") and len(seconds) > 0)
    rows = frame[(frame["direction"] == "forward") & has_times]
    speedup = [cpu[-1] / own[-1] for cpu, own in zip(rows["timing_cpu_s"], rows["timing_device_s"], strict=True)]
    return rows.assign(speedup=speedup, largest=[int(elements[-1]) for elements in rows["timing_elements"]])


def overtaking(frame: pd.DataFrame) -> str:
    """By family and type: how many operations overtake the CPU, from which size, and how fast they are in the end."""
    rows = []
    for (device, dtype, family), group in _timed(frame).groupby(["device", "dtype", "family"]):
        overtakes = group[group["overtakes_at_elements"].notna()]
        crossing = f"{int(overtakes['overtakes_at_elements'].median()):,}" if len(overtakes) else "none"
        rows.append([escape(device), dtype, escape(family), f"{len(overtakes)}/{len(group)}", crossing,
                     significant(float(group["speedup"].median()))])  # fmt: skip
    heads = ["device", "dtype", "family", "overtake the CPU", "median crossover size (elements)",
             "median speed over the CPU at the largest size"]  # fmt: skip
    return table(heads, rows, n_left=3) if rows else ""


def slower(frame: pd.DataFrame) -> str:
    """Operations that are slower than on the CPU at the largest size timed, by more than noise, slowest first.

    Empty if none is.
    """
    rows = _timed(frame)
    rows = rows[rows["speedup"] < 1 / FASTER].sort_values("speedup").head(MAX_SLOWER)
    return column_table(records(rows), [
        *names(["device", "operation", "dtype"]),
        Column("elements", lambda row: f"{row['largest']:,}"),
        Column("times slower than the CPU", lambda row: significant(1 / row["speedup"])),
    ], n_left=3)  # fmt: skip
