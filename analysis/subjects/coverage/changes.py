"""The section on two coverage results against each other: newly supported, newly broken, faster, slower."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells.rows import Row, records
from analysis.page.columns import Column, column_table, in_word, names
from analysis.subjects.coverage.load import FASTER, IDENTITY, WORKS, is_predicted
from analysis.text import escape, shortened, significant

MAX_ROWS = 100
_RANK = {"supported": 3, "wrong by rounding": 3, "fallback": 2, "unsupported": 1, "crashed": 0, "timeout": 0,
         "wrong values": 0}  # fmt: skip


def compare(frame: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """The section that tells a result from an earlier one."""
    both = frame.merge(other, on=IDENTITY, suffixes=("", "_before"))
    now, before = both["outcome"], both["outcome_before"]
    supported = both[now.isin(WORKS) & ~before.isin(WORKS)]
    broken = both[now.map(_RANK) < before.map(_RANK)]  # worked, or at least ran, and no longer does
    timed = speeds(both)
    faster, slower = timed[timed["gain"] > FASTER], timed[timed["gain"] < 1 / FASTER]
    versions = [", ".join(sorted(f["torch_version"].dropna().unique())) or "unknown" for f in (other, frame)]
    told = (
        f"torch {escape(versions[0])} before, {escape(versions[1])} now. {len(both):,} rows are in both,"
        f" {len(frame) - len(both):,} only in this result and {len(other) - len(both):,} only in the other."
        f" {len(timed):,} were timed in both; a change under {FASTER:g}x counts as noise."
    )
    if is_predicted(frame) != is_predicted(other):
        return _against_truth(both, is_predicted(frame), told)
    return {
        "told": told,
        "tables": [
            (f"Newly supported: {len(supported)}", changed_table(supported)),
            (f"Newly broken: {len(broken)}", changed_table(broken)),
            (f"Faster: {len(faster)}", speed_table(faster.sort_values("gain", ascending=False), "faster")),
            (f"Slower: {len(slower)}", speed_table(slower.sort_values("gain"), "slower")),
        ],
    }


def _against_truth(both: pd.DataFrame, is_now_predicted: bool, told: str) -> dict[str, Any]:
    """What was predicted against what was run, whichever of both is the later result."""
    said, found = ("outcome", "outcome_before") if is_now_predicted else ("outcome_before", "outcome")
    both = both[both[said] != "unknown"]
    works, worked = both[said].isin(WORKS), both[found].isin(WORKS)
    right = both[said].isin(WORKS) == both[found].isin(WORKS)
    n, which = len(both), "this result" if is_now_predicted else "the other"
    share = "no prediction was run"
    if n:
        share = f"{right.sum():,} of {n:,} predictions are right ({100 * right.mean():.1f} %)"
    kinds = f"{which[0].upper()}{which[1:]} is predicted from torch's kernels; the other was run: {share}."
    return {
        "told": f"{told} {kinds}",
        "tables": [
            (f"Predicted to work, but do not: {(works & ~worked).sum()}", changed_table(both[works & ~worked])),
            (f"Predicted not to work, but do: {(~works & worked).sum()}", changed_table(both[~works & worked])),
        ],
    }


def speeds(both: pd.DataFrame) -> pd.DataFrame:
    """Rows timed in both on the same device at a common size, with ``gain``: seconds before over seconds now."""
    gains: list[float | None] = []
    sizes: list[int | None] = []
    for row in records(both):
        now = _times(row["timing_elements"], row["timing_device_s"])
        before = _times(row["timing_elements_before"], row["timing_device_s_before"])
        size = max(now.keys() & before.keys(), default=None)
        sizes.append(size)
        gains.append(None if size is None else before[size] / now[size])
    return both.assign(gain=gains, size=sizes).dropna(subset=["gain"])


def _times(elements: object, seconds: object) -> dict[int, float]:
    if not hasattr(elements, "__iter__") or not hasattr(seconds, "__iter__"):
        return {}
    return {int(e): float(s) for e, s in zip(elements, seconds, strict=True)}


def changed_table(rows: pd.DataFrame) -> str:
    """Outcome before and now, with the reason of what is worse."""

    def reason(row: Row) -> str:
        is_worse = row["outcome"] in {"unsupported", "crashed", "timeout"} or row["outcome"].startswith("wrong")
        why = row["reason"] if is_worse else row["reason_before"]
        return escape(shortened(why, 200)) if isinstance(why, str) else ""

    return column_table(records(rows.head(MAX_ROWS)), [
        *names(["device", "operation", "dtype", "direction"]),
        in_word("before", "outcome_before"),
        in_word("now", "outcome"),
        Column("reason", reason),
    ], n_left=7)  # fmt: skip


def speed_table(rows: pd.DataFrame, change: str) -> str:
    """What became ``faster`` or ``slower``, in order."""
    return column_table(records(rows.head(MAX_ROWS)), [
        *names(["device", "operation", "dtype"]),
        Column("elements", lambda row: f"{int(row['size']):,}"),
        Column(f"times {change}", lambda row: significant(row["gain"] if change == "faster" else 1 / row["gain"])),
    ], n_left=3)  # fmt: skip
