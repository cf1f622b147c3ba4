"""The parent's side of the child processes: cells run and timed, a child replaced when it dies or hangs.

Imports neither torch nor Ray.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.coverage.child_process import START_TIMEOUT_S, ChildError, OperationChild
from sweeps.coverage.plan import OperationCell


class CellWorker:
    """Runs cells in a child that is replaced whenever one ends it.

    Args:
        environment: Of the child.
        max_samples: Sample inputs run of each operation, spread evenly over all it has.
        timeout_s: A cell that takes longer is ended, and its process.
        fallback_mode: As in the operations table.
        predicts: Rows are predicted instead of run.
    """

    def __init__(
        self, environment: Mapping[str, str], max_samples: int, timeout_s: float, fallback_mode: str | None = None,
        predicts: bool = False,
    ) -> None:  # fmt: skip
        self._predicts = predicts
        self._max_samples, self._timeout_s, self._fallback_mode = max_samples, timeout_s, fallback_mode
        self._child = OperationChild(environment)

    def _ask(
        self, command: str, cell: OperationCell, calls: Sequence[Any] | None, n_threads: int
    ) -> Iterator[dict[str, Any]]:
        request = {
            "command": command, "cell": cell.as_dict(), "calls": calls, "max_samples": self._max_samples,
            "n_threads": n_threads, "predicts": self._predicts, "can_fall_back": self._fallback_mode == "allowed",
        }  # fmt: skip
        if not self._child.is_alive:
            # Imports and the device's start take seconds that are not the first operation's.
            list(self._child.ask({**request, "command": "prepare"}, START_TIMEOUT_S))
        return self._child.ask(request, self._timeout_s)

    def run(self, cell: OperationCell, calls: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Rows of both directions of a cell, however it ends.

        A crash in a child that has run other cells is tried again in a fresh one, so that no operation pays for
        what one before it did to the process.
        """
        was_used = self._child.is_alive
        rows = self._run_once(cell, calls)
        if was_used and any(row["verdict"] == "crashed" for row in rows):
            rows = self._run_once(cell, calls)
        return [{**cell.columns, "fallback_mode": self._fallback_mode, **row} for row in rows]

    def _run_once(self, cell: OperationCell, calls: Sequence[Any] | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        direction = "forward"
        try:
            for message in self._ask("predict" if self._predicts else "run", cell, calls, n_threads=1):
                if message["event"] == "began":
                    direction = message["direction"]
                elif message["event"] == "row":
                    rows.append(message["row"])
        except ChildError as error:
            if not rows or rows[-1]["verdict"] != "crashed":  # else it said itself what ended it
                verdict = "timeout" if error.how == "timeout" else "crashed"
                rows.append({"direction": direction, "verdict": verdict, "reason": str(error)})
        return rows

    def time(self, cell: OperationCell, calls: Sequence[Any] | None = None, *, n_threads: int = 1) -> dict[str, Any]:
        """Timing columns of a cell; ``not_timed`` says why there are none."""
        columns: dict[str, Any] = {"not_timed": "nothing was timed"}
        try:
            for message in self._ask("time", cell, calls, n_threads):
                if message["event"] == "row":
                    columns = message["row"]
        except ChildError as error:
            told = {"crashed": f"crashed while timed: {error}", "timeout": f"{error} while timed"}
            return {"not_timed": told.get(error.how, str(error))}
        return columns

    def close(self) -> None:
        """End the child."""
        self._child.close()
