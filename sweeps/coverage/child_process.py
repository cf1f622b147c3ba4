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

from workloads.runtime.words import in_short

START_TIMEOUT_S = 300.0
MAX_SAID = 300
_ROOT = Path(__file__).resolve().parent.parent.parent


class ChildError(Exception):
    """A question that the child did not answer.

    Attributes:
        how: ``crashed`` if it ended, ``timeout`` if it was killed at the deadline, ``refused`` if it lives on and says
            why it could not.
    """

    def __init__(self, how: str, text: str) -> None:
        super().__init__(text)
        self.how = how


class OperationChild:
    """A child process that is started when it is first asked, and anew when it has died.

    Args:
        environment: Variables to set beside the parent's, read when torch is imported.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        return self._process is not None

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> Iterator[dict[str, Any]]:
        """Send a request and give its answers as they come, until ``done``.

        Raises:
            ChildError: If it has none; after a crash or a timeout the next question goes to another child.
        """
        try:
            process = self._process or self._started()
            yield from self._answers(process, {**request, "timeout_s": timeout_s}, timeout_s)
        except ChildError as error:
            if error.how != "refused":
                self._kill()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child; closed with it)
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sweeps.coverage.child"],  # -P: not first what lies where the user is
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0,
            env={**os.environ, "PYTHONPATH": path, **self._environment},
        )  # fmt: skip
        next(self._messages(self._process, START_TIMEOUT_S))  # it is ready
        return self._process

    def _answers(
        self, process: subprocess.Popen[bytes], request: Mapping[str, Any], timeout_s: float
    ) -> Iterator[dict[str, Any]]:
        assert process.stdin is not None
        messages = self._messages(process, timeout_s)
        try:
            process.stdin.write((json.dumps(request) + "\n").encode())
        except BrokenPipeError as error:
            raise ChildError("crashed", self._epitaph(process)) from error
        refusal = None
        while (message := next(messages))["event"] != "done":
            if message["event"] == "error":
                refusal = f"{message['type']}: {message['text']}"
            yield message
        if refusal is not None:
            raise ChildError("refused", refusal)

    def _messages(self, process: subprocess.Popen[bytes], timeout_s: float) -> Iterator[dict[str, Any]]:
        """What the child says, without end."""
        assert process.stdout is not None
        deadline, pending = time.monotonic() + timeout_s, b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ChildError("timeout", f"over {timeout_s:g} s")
                part = os.read(process.stdout.fileno(), 1 << 20)
                if not part:
                    raise ChildError("crashed", self._epitaph(process))
                *lines, pending = (pending + part).split(b"\n")
                yield from map(json.loads, lines)

    def _epitaph(self, process: subprocess.Popen[bytes]) -> str:
        """What ended the child: its signal or exit code, and the last line it wrote."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        code = process.returncode
        cause = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                cause = signal.Signals(-code).name
        self._said.seek(0)
        lines = [x for x in self._said.read().decode(errors="replace").splitlines() if x.strip()]
        return f"{cause}: {in_short(lines[-1], MAX_SAID)}" if lines else cause

    def close(self) -> None:
        """Let the child end by itself, and kill it if it does not."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
        self._kill()

    def _kill(self) -> None:
        """End the child now, even if it hangs in C code, and close its pipes."""
        if self._process is not None:
            with self._process, self._said:
                self._process.kill()
            self._process = None
