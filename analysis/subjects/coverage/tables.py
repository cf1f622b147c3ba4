"""A coverage sweep as tables: matrix per family, counts, what does not work, what is wrong, where devices overtake."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.subjects.coverage.load import DIRECTIONS, DTYPES, VERDICTS
from analysis.text import escape, is_missing, significant, table

MAX_REASON = 240
MAX_SLOWER = 20
WORKS = ("supported", "wrong by rounding")
NEVER = ("unsupported", "crashed", "timeout")


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
    several = frame["device"].nunique() > 1
    rows = []
    for row in chosen.to_dict("records"):
        rows.append([
            *([escape(row["device"])] if several else []), escape(row["operation"]), row["dtype"], row["direction"],
            _number(row["max_abs_diff"]), _number(row["tolerance_ratio"]), _number(row["rounding_units"]),
            f"{int(row['n_wrong'])}/{int(row['n_compared'])}",
        ])  # fmt: skip
    heads = [*(["device"] if several else []), "operation", "dtype", "direction", "off by", "over the tolerance",
             "roundings", "samples"]  # fmt: skip
    return table(heads, rows, n_left=len(heads) - 4)


def _number(value: object) -> str:
    if is_missing(value):
        return "n/a"
    number = float(str(value))
    return "NaN or infinity" if number == float("inf") else significant(number)


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with times of the device and the CPU, with the ratio of both at the largest size as ``speedup``."""
    rows = frame[(frame["direction"] == "forward") & frame["timing_cpu_s"].map(lambda v: not _empty(v))].copy()
    rows["speedup"] = [c[-1] / d[-1] for c, d in zip(rows["timing_cpu_s"], rows["timing_device_s"], strict=True)]
    rows["largest"] = [int(e[-1]) for e in rows["timing_elements"]]
    return rows


def _empty(value: object) -> bool:
    return not hasattr(value, "__len__") or len(value) == 0


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
    cells = [
        [escape(r["device"]), escape(r["operation"]), r["dtype"], f"{r['largest']:,}", significant(1 / r["speedup"])]
        for r in rows.to_dict("records")
    ]
    headers = ["device", "operation", "dtype", "elements", "times slower than the CPU"]
    return table(headers, cells, n_left=3) if cells else ""


def environment(frame: pd.DataFrame) -> str:
    """What ran it, one row per device."""
    names = ["device", "device_name", "driver_version", "torch_version", "torchvision_version", "python_version", "os"]
    known = frame.dropna(subset=["torch_version"]).drop_duplicates(["device", "torch_version"])
    rows = [["" if is_missing(row[n]) else escape(row[n]) for n in names] for row in known.to_dict("records")]
    return table([n.replace("_", " ") for n in names], rows, n_left=len(names)) if rows else ""
