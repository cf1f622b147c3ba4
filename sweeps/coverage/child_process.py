"""A child process that is asked with a deadline: its answers, its end and what it said last.

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 300.0
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
        self._selector = selectors.DefaultSelector()
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._read(time.monotonic() + START_TIMEOUT_S)  # it is ready

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


class LastingChild:
    """A child that is started when it is first asked, and anew when it has died.

    Args:
        environment: Of the child.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._child: OperationChild | None = None

    @property
    def is_alive(self) -> bool:
        return self._child is not None

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
        """As ``OperationChild.ask``; after a crash or a timeout the next question goes to another child."""
        if self._child is None:
            self._child = OperationChild(self._environment)
        try:
            yield from self._child.ask(request, timeout_s)
        except (ChildCrashedError, ChildTimeoutError):
            self._child = None
            raise

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()
            self._child = None
