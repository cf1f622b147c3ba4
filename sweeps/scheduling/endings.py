"""SIGTERM and SIGHUP do what Ctrl-C does: a scheduler that ends a job, or a terminal that is closed, loses nothing.

A signal that was ignored when we started stays ignored: SIGHUP under ``nohup``, SIGINT in a script's background job.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None], *numbers: int) -> Iterator[None]:
    """A handler for those of the signals that whoever started us did not have ignored; none in another thread."""
    is_main = threading.current_thread() is threading.main_thread()  # Python hands signals to it alone
    heeded = [number for number in numbers if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, theirs in before.items():
            signal.signal(number, theirs)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt as Ctrl-C does, by KeyboardInterrupt."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt, signal.SIGTERM, signal.SIGHUP):
        yield


@contextlib.contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP as a list that grows; a second one interrupts at once, as if uncollected."""
    received: list[int] = []

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    with _handled(note, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield received


class Interrupted(Exception):  # noqa: N818 (an outcome that the user asked for, not an error)
    """The sweep was interrupted; everything finished is recorded."""


class SweepLostError(Exception):
    """What runs the cells died, and the message says what; everything finished is recorded."""
