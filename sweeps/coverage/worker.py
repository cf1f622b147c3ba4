"""The parent's side of the child processes: cells run and timed, a child replaced when it dies or hangs.

Imports neither torch nor Ray.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.coverage.child_process import (
    START_TIMEOUT_S,
    ChildCrashedError,
    ChildRefusedError,
    ChildTimeoutError,
    LastingChild,
    OperationChild,
)
from sweeps.coverage.plan import OperationCell, RunOptions

LIST_TIMEOUT_S = 900.0


class CellWorker:
    """Runs cells in a child that is replaced whenever one ends it.

    Args:
        environment: Of the child.
        options: How to run.
    """

    def __init__(self, environment: Mapping[str, str], options: RunOptions) -> None:
        self._has_fallback, self._options = bool(environment), options
        self._child = LastingChild(environment)

    def _ask(
        self, command: str, cell: OperationCell, calls: Sequence[Any] | None, n_threads: int | None = None
    ) -> Iterator[dict[str, Any]]:
        request = {
            "command": command, "cell": cell.as_dict(), "calls": calls,
            "max_samples": self._options.max_samples, "n_threads": n_threads or self._options.n_threads,
        }  # fmt: skip
        if not self._child.is_alive:
            # Imports and the device's start take seconds that are not the first operation's.
            list(self._child.ask({**request, "command": "prepare"}, START_TIMEOUT_S))
        return self._child.ask(request, self._options.operation_timeout_s)

    def run(self, cell: OperationCell, calls: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Rows of both directions of a cell, however it ends.

        A crash in a child that has run other cells is tried again in a fresh one, so that no operation pays for
        what one before it did to the process.
        """
        was_used = self._child.is_alive
        rows = self._run_once(cell, calls)
        if was_used and any(row["verdict"] == "crashed" for row in rows):
            rows = self._run_once(cell, calls)
        mode = None
        if self._has_fallback:
            mode = "allowed" if self._options.allow_fallback else "strict"
        return [{"operation_key": cell.key, **cell.as_dict(), "fallback_mode": mode, **row} for row in rows]

    def _run_once(self, cell: OperationCell, calls: Sequence[Any] | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        direction = "forward"
        try:
            for message in self._ask("run", cell, calls):
                if message["event"] == "began":
                    direction = message["direction"]
                elif message["event"] == "row":
                    rows.append(message["row"])
        except ChildCrashedError as error:
            if not rows or rows[-1]["verdict"] != "crashed":
                rows.append({"direction": direction, "verdict": "crashed", "reason": str(error)})
        except ChildTimeoutError:
            limit = f"over {self._options.operation_timeout_s:g} s"
            rows.append({"direction": direction, "verdict": "timeout", "reason": limit})
        except ChildRefusedError as error:
            rows.append({"direction": direction, "verdict": "crashed", "reason": str(error)})
        return rows

    def time(
        self, cell: OperationCell, calls: Sequence[Any] | None = None, *, n_threads: int | None = None
    ) -> dict[str, Any]:
        """Timing columns of a cell; ``not_timed`` says why there are none."""
        columns: dict[str, Any] = {"not_timed": "nothing was timed"}
        try:
            for message in self._ask("time", cell, calls, n_threads):
                if message["event"] == "row":
                    columns = message["row"]
        except ChildCrashedError as error:
            return {"not_timed": f"crashed while timed: {error}"}
        except ChildTimeoutError:
            return {"not_timed": f"over {self._options.operation_timeout_s:g} s while timed"}
        except ChildRefusedError as error:
            return {"not_timed": str(error)}
        return columns

    def close(self) -> None:
        """End the child."""
        self._child.close()


def list_operations(
    recording: Mapping[str, Any] | None, models: Sequence[str] | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    """What operations there are, as a child lists them: ``operations``, ``recording``, ``failed``, ``missing``.

    Args:
        recording: Of the model zoo; None to record it.
        models: Record these only; None for all.
        environment: Of the child.

    Raises:
        ChildCrashedError: If it cannot.
        ChildRefusedError: If it says that it cannot.
        ChildTimeoutError: If it takes a quarter of an hour.
    """
    child = OperationChild(environment)
    try:
        answers = list(child.ask({"command": "list", "recording": recording, "models": models}, LIST_TIMEOUT_S))
    finally:
        child.close()
    return next(a for a in answers if a["event"] == "listed")
