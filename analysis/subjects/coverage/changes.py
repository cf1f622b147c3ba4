"""Two coverage results against each other: what is newly supported, newly broken, faster and slower."""

from __future__ import annotations

import pandas as pd

from analysis.subjects.coverage.load import IDENTITY
from analysis.subjects.coverage.tables import NEVER, WORKS
from analysis.text import escape, significant, table

FASTER = 1.3
"""A median of a few calls differs by up to a quarter between two runs on an idle machine; less is no change."""
MAX_ROWS = 100
_RANK = {"supported": 3, "wrong by rounding": 3, "fallback": 2, "unsupported": 1, "crashed": 0, "timeout": 0,
         "wrong values": 0}  # fmt: skip


def matched(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Rows that both have, this result's columns as they are, the other's with ``_before``."""
    return frame.merge(other, on=IDENTITY, suffixes=("", "_before"), how="inner")


def newly_supported(both: pd.DataFrame) -> pd.DataFrame:
    """Works now and did not."""
    return both[both["outcome"].isin(WORKS) & ~both["outcome_before"].isin(WORKS)]


def newly_broken(both: pd.DataFrame) -> pd.DataFrame:
    """Worked, or at least ran, and no longer does: ends with a lower rank of outcome."""
    now, before = both["outcome"].map(_RANK), both["outcome_before"].map(_RANK)
    return both[now < before]


def speeds(both: pd.DataFrame) -> pd.DataFrame:
    """Rows timed in both on the same device at a common size, with ``gain``: seconds before over seconds now."""
    gains: list[float | None] = []
    sizes: list[int | None] = []
    for row in both.to_dict("records"):
        now = _times(row["timing_elements"], row["timing_device_s"])
        before = _times(row["timing_elements_before"], row["timing_device_s_before"])
        common = sorted(set(now) & set(before))
        sizes.append(common[-1] if common else None)
        gains.append(before[common[-1]] / now[common[-1]] if common else None)
    return both.assign(gain=gains, size=sizes).dropna(subset=["gain"])


def _times(elements: object, seconds: object) -> dict[int, float]:
    if not hasattr(elements, "__iter__") or not hasattr(seconds, "__iter__"):
        return {}
    return {int(e): float(s) for e, s in zip(elements, seconds, strict=True)}


def changed_table(rows: pd.DataFrame) -> str:
    """Outcome before and now, with the reason of what is worse."""
    cells = []
    for r in rows.head(MAX_ROWS).to_dict("records"):
        reason = r["reason"] if r["outcome"] in NEVER or r["outcome"].startswith("wrong") else r["reason_before"]
        cells.append([escape(r["device"]), escape(r["operation"]), r["dtype"], r["direction"],
                      escape(r["outcome_before"]), escape(r["outcome"]),
                      escape(str(reason)[:200]) if isinstance(reason, str) else ""])  # fmt: skip
    heads = ["device", "operation", "dtype", "direction", "before", "now", "reason"]
    return table(heads, cells, n_left=7) if cells else ""


def speed_table(rows: pd.DataFrame, *, faster: bool) -> str:
    """What changed its speed by more than FASTER, the most first."""
    chosen = rows[rows["gain"] > FASTER] if faster else rows[rows["gain"] < 1 / FASTER]
    chosen = chosen.sort_values("gain", ascending=not faster).head(MAX_ROWS)
    cells = [
        [escape(r["device"]), escape(r["operation"]), r["dtype"], f"{int(r['size']):,}",
         significant(r["gain"] if faster else 1 / r["gain"])]
        for r in chosen.to_dict("records")
    ]  # fmt: skip
    heads = ["device", "operation", "dtype", "elements", "times faster" if faster else "times slower"]
    return table(heads, cells, n_left=3) if cells else ""
