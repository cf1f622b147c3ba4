"""What a coverage sweep says in numbers: which operations work, and how fast; and what changed since another."""

from __future__ import annotations

import pandas as pd

from analysis.subjects.coverage.load import IDENTITY

WORKS = ("supported", "wrong by rounding")
NEVER = ("unsupported", "crashed", "timeout")
FASTER = 1.3
"""A median of a few calls differs by up to a quarter between two runs on an idle machine; less is no change."""
_RANK = {"supported": 3, "wrong by rounding": 3, "fallback": 2, "unsupported": 1, "crashed": 0, "timeout": 0,
         "wrong values": 0}  # fmt: skip


def timed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with times of the device and the CPU, with the ratio of both at the largest size as ``speedup``."""
    rows = frame[(frame["direction"] == "forward") & frame["timing_cpu_s"].map(lambda v: not _empty(v))].copy()
    rows["speedup"] = [c[-1] / d[-1] for c, d in zip(rows["timing_cpu_s"], rows["timing_device_s"], strict=True)]
    rows["largest"] = [int(e[-1]) for e in rows["timing_elements"]]
    return rows


def _empty(value: object) -> bool:
    return not hasattr(value, "__len__") or len(value) == 0


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
