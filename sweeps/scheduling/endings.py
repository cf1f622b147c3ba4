"""SIGTERM and SIGHUP do what Ctrl-C does: a scheduler that ends a job, or a terminal that is closed, loses nothing.

A signal that was ignored when we started stays ignored: SIGHUP under ``nohup``, SIGINT in a script's background job.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


def _heeded(*names: str) -> list[int]:
    """Those of the signals that this system has and that whoever started us did not have ignored."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt as Ctrl-C does.

    Raises:
        KeyboardInterrupt: When one of them comes.
    """

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Python hands signals to the main thread alone
        return
    before = {number: signal.signal(number, interrupt) for number in _heeded("SIGTERM", "SIGHUP")}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP as a list that grows; a second one interrupts at once, as if uncollected."""
    received: list[int] = []

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in _heeded("SIGINT", "SIGTERM", "SIGHUP")}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupted(Exception):  # noqa: N818 (an outcome that the user asked for, not an error)
    """The sweep was interrupted; everything finished is recorded."""


class SweepLostError(Exception):
    """What runs the cells died, and the message says what; everything finished is recorded."""
