"""A coverage sweep as tables: matrix per family, counts, what does not work, what is wrong, where devices overtake."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.rows import records
from analysis.page.columns import Column, column_table, in_word
from analysis.subjects.coverage.load import DIRECTIONS, DTYPES, VERDICTS
from analysis.subjects.coverage.quantities import WORKS, timed
from analysis.text import escape, is_missing, significant, table

MAX_REASON = 240
MAX_SLOWER = 20


def _present(frame: pd.DataFrame, column: str, order: Sequence[str]) -> list[str]:
    return [value for value in order if (frame[column] == value).any()]


def _named(values: pd.Series, order: Sequence[str]) -> str:
    found = set(values)
    return " ".join(v for v in order if v in found)


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


def counts(frame: pd.DataFrame) -> str:
    """Rows by device, type and direction, and how they ended."""
    shown = _present(frame, "outcome", VERDICTS)
    rows = []
    for device, of_device in frame.groupby("device"):
        for dtype in _present(of_device, "dtype", DTYPES):
            for direction in DIRECTIONS:
                chosen = of_device[(of_device["dtype"] == dtype) & (of_device["direction"] == direction)]
                if len(chosen):
                    numbers = [str(int((chosen["outcome"] == v).sum())) for v in shown]
                    rows.append([escape(device), dtype, direction, *numbers, str(len(chosen))])
    return table(["device", "dtype", "direction", *shown, "all"], rows, n_left=3)


def failures(frame: pd.DataFrame, outcomes: Sequence[str]) -> str:
    """What ended in one of the outcomes, with its reason; types of one operation and reason share a row."""
    chosen = frame[frame["outcome"].isin(outcomes)].copy()
    if chosen.empty:
        return ""
    chosen["reason"] = chosen["reason"].fillna("")
    rows = []
    several = frame["device"].nunique() > 1
    keys = ["device", "family", "operation", "outcome"]
    for (device, family, operation, outcome), group in chosen.groupby(keys, sort=False):
        where = [f"{d}: {_named(group.loc[group['direction'] == d, 'dtype'], DTYPES)}"
                 for d in DIRECTIONS if (group["direction"] == d).any()]  # fmt: skip
        reasons = list(dict.fromkeys(str(r)[:MAX_REASON] for r in group["reason"]))
        others = len(reasons) - 1
        more = f" (and {others} other text{'s' if others > 1 else ''})" if others else ""
        first = [escape(device)] if several else []
        rows.append([*first, escape(operation), escape(family), escape(outcome), "; ".join(where),
                     escape(reasons[0]) + more])  # fmt: skip
    heads = [*(["device"] if several else []), "operation", "family", "verdict", "types", "reason"]
    return table(heads, rows, n_left=len(heads))


def wrong(frame: pd.DataFrame, outcome: str) -> str:
    """What disagrees with the reference, worst first."""
    chosen = frame[frame["outcome"] == outcome].copy()
    if chosen.empty:
        return ""
    chosen = chosen.sort_values(["rounding_units", "tolerance_ratio"], ascending=False, kind="stable")
    words = [*_device(frame), in_word("operation", "operation"), in_word("dtype", "dtype"),
             in_word("direction", "direction")]  # fmt: skip
    return column_table(records(chosen), [
        *words,
        Column("off by", lambda row: _number(row["max_abs_diff"])),
        Column("over the tolerance", lambda row: _number(row["tolerance_ratio"])),
        Column("roundings", lambda row: _number(row["rounding_units"])),
        Column("samples", lambda row: f"{int(row['n_wrong'])}/{int(row['n_compared'])}"),
    ], n_left=len(words), max_rows=len(chosen))  # fmt: skip


def _device(frame: pd.DataFrame) -> list[Column]:
    """The column that names the device, where there are several."""
    return [in_word("device", "device")] if frame["device"].nunique() > 1 else []


def _number(value: object) -> str:
    if is_missing(value):
        return "n/a"
    number = float(str(value))
    return "NaN or infinity" if number == float("inf") else significant(number)


def overtaking(frame: pd.DataFrame) -> str:
    """By family and type: how many operations overtake the CPU, from which size, and how fast they are in the end."""
    rows = []
    times = timed(frame)
    for (device, dtype, family), group in times.groupby(["device", "dtype", "family"]):
        overtakes = group[group["overtakes_at_elements"].notna()]
        crossing = f"{int(overtakes['overtakes_at_elements'].median()):,}" if len(overtakes) else "none"
        rows.append([escape(device), dtype, escape(family), f"{len(overtakes)}/{len(group)}", crossing,
                     significant(float(group["speedup"].median()))])  # fmt: skip
    heads = ["device", "dtype", "family", "overtake the CPU", "median size of overtaking (elements)",
             "median speed over the CPU at the largest size"]  # fmt: skip
    return table(heads, rows, n_left=3) if rows else ""


def slower(frame: pd.DataFrame) -> str:
    """Operations that are slower than on the CPU at the largest size timed, slowest first; empty if none is."""
    rows = timed(frame)
    rows = rows[rows["speedup"] < 1].sort_values("speedup").head(MAX_SLOWER)
    return column_table(records(rows), [
        in_word("device", "device"), in_word("operation", "operation"), in_word("dtype", "dtype"),
        Column("elements", lambda row: f"{row['largest']:,}"),
        Column("times slower than the CPU", lambda row: significant(1 / row["speedup"])),
    ], n_left=3)  # fmt: skip
