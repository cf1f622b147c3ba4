"""Cells in a process of their own beneath the worker: what a process has from its start, Ray's workers cannot be given.

The worker starts it with the variables that a cell needs, asks it for one phase after the other as it would ask a
``CellRun`` of its own, and keeps it for the next cell with the same variables. It ends with the worker, however that
ends.
Runs as ``own_process.py NUMBER``, the number of its end of the pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from typing import Any

BEGIN, ADVANCE, CLOSE, FIRST_STEP = "begin", "advance", "close", "first step"
_PR_SET_PDEATHSIG = 1  # prctl(2)


class ProcessEndedError(Exception):
    """The process of a cell ended before the cell."""


class OwnProcess:
    """A process with variables of its own, which measures one cell after another."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self._pipe.send(sys.path)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, what: str, **arguments: Any) -> Any:
        """Its answer; ProcessEndedError if it ends before it has one."""
        try:
            self._pipe.send((what, arguments))
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            code = self._process.wait()
            told = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise ProcessEndedError(f"the process of the cell ended by {told}") from error

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()


_kept: list[OwnProcess] = []
"""The one process of this worker, if it has one: another's freed memory would be in the way."""


def _process_with(variables: Mapping[str, str]) -> OwnProcess:
    if not _kept or not _kept[0].is_alive or _kept[0].variables != variables:
        end_own_process()
        _kept.append(OwnProcess(variables))
    return _kept[0]


def end_own_process() -> None:
    """End the process of this worker, if it has one."""
    while _kept:
        _kept.pop().end()


class RunElsewhere:
    """A ``CellRun`` in a process with variables of its own, with the same members and meanings."""

    def __init__(self, variables: Mapping[str, str], report_every_s: float, **arguments: Any) -> None:
        self._process, self._report_every_s = _process_with(variables), report_every_s
        self._message: Any = None
        self.is_finished, self.is_whole, self.ended_well = False, False, True
        self._process.ask(BEGIN, **arguments)

    def advance(self) -> None:
        """Do what is to be told of together."""
        told = self._process.ask(ADVANCE, report_every_s=self._report_every_s)
        self._message, self.is_finished, self.is_whole, self.ended_well = told

    def take_message(self) -> Any:
        """What is new since the last message, as ``advance`` brought it."""
        return self._message

    def close(self) -> None:
        with contextlib.suppress(ProcessEndedError):
            self._process.ask(CLOSE)


def run_until_told(run: Any, report_every_s: float) -> None:
    """Measure until there is something worth sending, or the profiler comes next."""
    began = time.monotonic()
    while not run.is_finished:
        run.advance()
        if run.is_whole or time.monotonic() - began >= report_every_s:
            break


def _serve(pipe: Connection) -> None:
    """Measure the cells that the worker asks for, until it is gone."""
    sys.path[:] = pipe.recv()
    from workloads.models.origins.own_code import give_sent
    from workloads.runtime.late import wait_for_imports

    wait_for_imports("sweeps.cell.cell_run")
    # By name: a cell that is measured asks for processes of its own, too.
    kind = importlib.import_module("sweeps.cell.cell_run").CellRun
    run: Any = None
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        give_sent(arguments.pop("code", None))
        if what == BEGIN:
            run = kind(**arguments)
            pipe.send(None)
        elif what == ADVANCE:
            run_until_told(run, **arguments)
            pipe.send((run.take_message(), run.is_finished, run.is_whole, run.ended_well))
        elif what == FIRST_STEP:
            pipe.send(_first_step(**arguments))
        else:
            run.close()
            pipe.send(None)


def _first_step(**arguments: Any) -> float | str:
    """Seconds of a cell's first step, or why there is none."""
    from sweeps.cell.context import first_step_s

    try:
        return first_step_s(**arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    if sys.platform == "linux":  # elsewhere it ends with the pipe, when it has done what it does
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _serve(Connection(int(sys.argv[1])))
