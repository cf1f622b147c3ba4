"""What a coverage sweep says of a dispatched operation: works, missing, falls back, wrong, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.coverage.store import DESCRIPTION, CoverageStore
from workloads.base import BadInputError

_NAMED = re.compile(r"aten::\w+(?:\.\w+)?")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The evidence on one dispatched operation in one type on one device: from ``coverage``, or ``executed`` now."""

    verdict: str
    reason: str | None
    source: str


def latest_rows(results: Path, torch_version: str) -> list[dict[str, Any]]:
    """The rows of the latest coverage sweep in a results folder that ran this torch, predictions left out."""
    for description in sorted(results.glob(f"*/{DESCRIPTION}"), reverse=True):
        try:
            store = CoverageStore.open(description.parent)
        except BadInputError:  # of another version of the schema
            continue
        rows = [row for row in store.rows() if row["torch_version"] == torch_version and not row.get("evidence")]
        if rows:
            return rows
    return []


def findings(rows: Sequence[Mapping[str, Any]], device: str, dtype: str) -> dict[str, Finding]:
    """What rows say of each dispatched operation, by name such as ``aten::convolution``.

    An operation works if a call that dispatches it gave the right answer; falls back if a warning named it; is missing
    if the text of an exception named it; is wrong if a call that dispatches it alone was wrong. Bad news holds over
    good. Of what no row tells nothing is said.
    """
    mine = [r for r in rows if r["device"] == device and r["dtype"] == dtype]
    found: dict[str, Finding] = {}
    for row in mine:
        if row["verdict"] == "supported" or row["wrong_by"] == "rounding":
            good = Finding(verdict="supported", reason=None, source="coverage")
            found.update(dict.fromkeys(row["aten_operations"] or (), good))
    for row in mine:
        bad = Finding(verdict=row["verdict"], reason=f"{row['operation']}: {row['reason']}", source="coverage")
        found.update(dict.fromkeys(_blamed(row), bad))
    return found


def _blamed(row: Mapping[str, Any]) -> Sequence[str]:
    """The dispatched operations that a row speaks ill of."""
    dispatched = row["aten_operations"] or ()
    if row["verdict"] == "fallback":
        return row["fallback_operations"] or ()
    if row["verdict"] == "unsupported" and not str(row["reason"]).startswith(tuple("123456789")):
        return _NAMED.findall(str(row["reason"]))
    is_its_own = row["verdict"] == "wrong" and row["wrong_by"] == "values" and len(dispatched) == 1
    return dispatched if is_its_own else ()
