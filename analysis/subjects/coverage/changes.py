"""The section on two coverage results against each other: newly supported, newly broken, faster, slower."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells.rows import Row, records
from analysis.page.columns import Column, column_table, in_word
from analysis.subjects.coverage.quantities import FASTER, NEVER, matched, newly_broken, newly_supported, speeds
from analysis.text import escape, significant

MAX_ROWS = 100


def compare(frame: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """The section that tells two results apart."""
    both = matched(frame, other)
    supported, broken, timed = newly_supported(both), newly_broken(both), speeds(both)
    versions = [", ".join(sorted(f["torch_version"].dropna().unique())) or "unknown" for f in (other, frame)]
    n_new, n_gone = len(frame) - len(both), len(other) - len(both)
    told = (
        f"torch {escape(versions[0])} before, {escape(versions[1])} now. {len(both):,} rows are in both, {n_new:,} only"
        f" in this result and {n_gone:,} only in the other. {len(timed):,} were timed in both; a change under"
        f" {FASTER:g} times is noise."
    )
    return {
        "told": told,
        "tables": [
            (f"Newly supported: {len(supported)}", changed_table(supported)),
            (f"Newly broken: {len(broken)}", changed_table(broken)),
            (f"Faster: {int((timed['gain'] > FASTER).sum())}", speed_table(timed, faster=True)),
            (f"Slower: {int((timed['gain'] < 1 / FASTER).sum())}", speed_table(timed, faster=False)),
        ],
    }


def changed_table(rows: pd.DataFrame) -> str:
    """Outcome before and now, with the reason of what is worse."""

    def reason(row: Row) -> str:
        is_worse = row["outcome"] in NEVER or row["outcome"].startswith("wrong")
        why = row["reason"] if is_worse else row["reason_before"]
        return escape(why[:200]) if isinstance(why, str) else ""

    columns = [in_word("device", "device"), in_word("operation", "operation"), in_word("dtype", "dtype"),
               in_word("direction", "direction"), in_word("before", "outcome_before"), in_word("now", "outcome"),
               Column("reason", reason)]  # fmt: skip
    return column_table(records(rows.head(MAX_ROWS)), columns, n_left=7)


def speed_table(rows: pd.DataFrame, *, faster: bool) -> str:
    """What changed its speed by more than FASTER, the most first."""
    chosen = rows[rows["gain"] > FASTER] if faster else rows[rows["gain"] < 1 / FASTER]
    chosen = chosen.sort_values("gain", ascending=not faster).head(MAX_ROWS)
    return column_table(records(chosen), [
        in_word("device", "device"), in_word("operation", "operation"), in_word("dtype", "dtype"),
        Column("elements", lambda row: f"{int(row['size']):,}"),
        Column("times faster" if faster else "times slower",
               lambda row: significant(row["gain"] if faster else 1 / row["gain"])),
    ], n_left=3)  # fmt: skip
