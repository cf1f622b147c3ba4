"""What a coverage sweep records and tells while it runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from sweeps.coverage.plan import OperationCell
from sweeps.coverage.store import RETRIED, CoverageStore
from sweeps.session.terminal import say

SAY_EVERY_S = 5.0


class CoverageProgress:
    """Rows as they come: recorded, counted, told every few seconds."""

    def __init__(self, store: CoverageStore, n_done: int, console: Console) -> None:
        self._store, self._console, self._n_done = store, console, n_done
        self._n_timed, self._n_to_time = 0, 0
        self._counts: Counter[str] = Counter()
        self._last = time.monotonic()

    def expect(self, n_to_time: int) -> None:
        """So many cells will be timed next."""
        self._n_timed, self._n_to_time = 0, n_to_time

    def rows(self, cell: OperationCell, rows: list[dict[str, Any]]) -> None:
        self._store.record(rows)
        self._n_done += 1
        self._counts.update(row["verdict"] for row in rows)
        for row in rows:
            if row["verdict"] in RETRIED:
                say(self._console, f"{cell.label} {row['direction']}: {row['verdict']}: {row.get('reason')}")
        self._tell(self._n_done, len(self._store.cells), verdict_counts(self._counts))

    def times(self, cell: OperationCell, columns: dict[str, Any]) -> None:
        part = self._store.rows_of(cell.key)
        self._store.record([{**row, **(columns if row["direction"] == "forward" else {})} for row in part])
        self._n_timed += 1
        self._tell(self._n_timed, self._n_to_time, f"timed; {cell.label}")

    def _tell(self, n: int, n_all: int, text: str) -> None:
        now = time.monotonic()
        if n == n_all or now - self._last > SAY_EVERY_S:
            self._last = now
            say(self._console, f"[{n}/{n_all}] {text}")


def verdict_counts(counts: Mapping[str, int]) -> str:
    """``12 supported, 1 wrong``."""
    return ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "nothing yet"
