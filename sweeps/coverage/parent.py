"""The parent's side of a child process: requests with a deadline, a child replaced when it dies or hangs.

Imports neither torch nor Ray.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.coverage.plan import OperationCell, RunOptions

START_TIMEOUT_S = 300.0
LIST_TIMEOUT_S = 900.0
MAX_SAID = 300
_ROOT = Path(__file__).resolve().parent.parent.parent


class ChildCrashedError(Exception):
    """The child ended; the message says by what."""


class ChildTimeoutError(Exception):
    """The child did not answer in time and was killed."""


class ChildRefusedError(Exception):
    """The child could not do what was asked and says why; it lives on."""


class OperationChild:
    """A running child process.

    Args:
        environment: Variables to set beside the parent's, read when torch is imported.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child; closed with it)
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sweeps.coverage.child"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0,
            env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        )  # fmt: skip
        self._pending = b""
        self.n_requests = 0
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        ready = self._read(time.monotonic() + START_TIMEOUT_S)
        self.pid: int = ready["pid"]

    def _read(self, deadline: float) -> dict[str, Any]:
        """The next message.

        Raises:
            ChildCrashedError: If the child ended.
            ChildTimeoutError: At the deadline; the child is killed.
        """
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):
                self.kill()
                raise ChildTimeoutError
            part = os.read(self._process.stdout.fileno(), 1 << 20)
            if not part:
                raise ChildCrashedError(self._epitaph())
            self._pending += part
        line, self._pending = self._pending.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def _epitaph(self) -> str:
        """What ended the child: its signal or exit code, and the last line it wrote."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        code = self._process.returncode
        cause = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                cause = signal.Signals(-code).name
        self._said.seek(0)
        lines = [x for x in self._said.read().decode(errors="replace").splitlines() if x.strip()]
        return f"{cause}: {lines[-1].strip()[:MAX_SAID]}" if lines else cause

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
        """Send a request and give its answers as they come, until ``done``.

        Raises:
            ChildCrashedError: If the child ended.
            ChildTimeoutError: If it took longer; it is killed.
            ChildRefusedError: If the child says that it cannot.
        """
        self.n_requests += 1
        deadline = time.monotonic() + timeout_s
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps({**request, "timeout_s": timeout_s}) + "\n").encode())
        except BrokenPipeError as error:
            raise ChildCrashedError(self._epitaph()) from error
        refusal = None
        while (message := self._read(deadline))["event"] != "done":
            if message["event"] == "error":
                refusal = f"{message['type']}: {message['text']}"
            yield message
        if refusal is not None:
            raise ChildRefusedError(refusal)

    def kill(self) -> None:
        """End the child now, even if it hangs in C code."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._close_pipes()

    def close(self) -> None:
        """Let the child end by itself, and kill it if it does not."""
        if self._process.poll() is None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self.kill()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._selector.close()


class CellWorker:
    """Runs cells in a child that is replaced whenever one ends it.

    Args:
        environment: Of the child.
        options: How to run.
    """

    def __init__(self, environment: Mapping[str, str], options: RunOptions) -> None:
        self._environment, self._options = dict(environment), options
        self._child: OperationChild | None = None

    @property
    def pid(self) -> int | None:
        """The child's process; None while there is none."""
        return None if self._child is None else self._child.pid

    def _ask(
        self, command: str, cell: OperationCell, calls: Sequence[Any] | None, n_threads: int | None = None
    ) -> Iterator[dict[str, Any]]:
        request = {
            "command": command, "cell": cell.as_dict(), "calls": calls,
            "max_samples": self._options.max_samples, "n_threads": n_threads or self._options.n_threads,
        }  # fmt: skip
        if self._child is None:
            self._child = OperationChild(self._environment)
            # Imports and the device's start take seconds that are not the first operation's.
            list(self._child.ask({**request, "command": "prepare"}, START_TIMEOUT_S))
        return self._child.ask(request, self._options.operation_timeout_s)

    def run(self, cell: OperationCell, calls: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Rows of both directions of a cell, however it ends.

        A crash in a child that has run other cells is tried again in a fresh one, so that no operation pays for
        what one before it did to the process.
        """
        was_used = self._child is not None and self._child.n_requests > 0
        rows = self._run_once(cell, calls)
        if was_used and any(row["verdict"] == "crashed" for row in rows):
            rows = self._run_once(cell, calls)
        mode = None
        if self._environment:
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
            self._child = None
            if not rows or rows[-1]["verdict"] != "crashed":
                rows.append({"direction": direction, "verdict": "crashed", "reason": str(error)})
        except ChildTimeoutError:
            self._child = None
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
            self._child = None
            return {"not_timed": f"crashed while timed: {error}"}
        except ChildTimeoutError:
            self._child = None
            return {"not_timed": f"over {self._options.operation_timeout_s:g} s while timed"}
        except ChildRefusedError as error:
            return {"not_timed": str(error)}
        return columns

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None


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
