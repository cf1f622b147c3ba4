"""Tables on a sweep as a whole, as Markdown: how its cells ended, what did not work."""

from __future__ import annotations

import re

import pandas as pd

from analysis.cells.naming import label, varying
from analysis.cells.rows import Row, records, setting_columns, status_counts
from analysis.contract.cells import TASK_COLUMNS
from analysis.text import escape, is_missing, shortened, some, table

MAX_FAILURES = 40  # kinds of failure shown
MAX_NAMED = 3  # cells named of one kind of failure
MAX_TEXT = 240


def grid_table(frame: pd.DataFrame) -> str:
    """Cells by device and precision (rows) and status (columns)."""
    statuses = list(status_counts(frame))
    rows = [
        [*map(escape, names), *(f"{(group['status'] == s).sum():,}" for s in statuses), f"{len(group):,}"]
        for names, group in frame.groupby(["device", "precision"], sort=False)
    ]
    return table(["device", "precision", *statuses, "cells"], rows, n_left=2) if rows else ""


def failures_table(frame: pd.DataFrame) -> str:
    """What did not work, with its reason: one row a kind of failure, at most ``MAX_FAILURES`` of them."""
    failed = frame[~frame["status"].isin(["complete", "pruned"])]
    if failed.empty:
        return ""
    names = [*varying(frame, TASK_COLUMNS), *setting_columns(frame)]
    kinds: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in records(failed):
        reason = _reason(row)
        # Sizes and addresses differ from cell to cell; the failure is the same.
        kind = (str(row["status"]), re.sub(r"0x[0-9a-f]+|\d[\d.,]*", "#", reason))
        kinds.setdefault(kind, []).append((label(row, names), reason))
    rows = []
    for (status, _), cells in list(kinds.items())[:MAX_FAILURES]:
        named = some([name for name, _ in cells], MAX_NAMED, "; ")
        rows.append([escape(status), escape(named), escape(cells[0][1]), f"{len(cells):,}"])
    text = table(["status", "cells", "reason", "number"], rows, n_left=3)
    left = len(kinds) - MAX_FAILURES
    return f"{text}\n\n{left:,} more kinds of failure are in the Parquet files." if left > 0 else text


def _reason(row: Row) -> str:
    """Reason, type and message, each once, cut where a page would drown in them."""
    columns = ["status_reason", "error_type", "error_message"]
    if row["status"] == "unsupported":
        columns.remove("error_type")  # which says no more than the status does
    said = [str(row[c]) for c in columns if not is_missing(row[c])]
    text = ": ".join(x for i, x in enumerate(said) if x not in said[:i])
    return shortened(text, MAX_TEXT)
