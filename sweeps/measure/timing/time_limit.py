"""A limit for what does not look at the clock itself, such as a compiler that tries one kernel after the other."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


class TimeLimitError(Exception):
    """Something took longer than it may; the message says what, and which option says so."""


class _Over(BaseException):  # what catches exceptions to go on without them must not catch it
    pass


@contextlib.contextmanager
def time_limit(seconds: float | None, told: str) -> Iterator[None]:
    """Interrupt what runs within after so many seconds of wall time, by a signal: in the main thread alone.

    Args:
        seconds: None for no limit.
        told: What the error says.

    Raises:
        TimeLimitError: It was over, whatever became of the interruption on its way.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = threading.Event()

    def over(*_: object) -> None:
        is_over.set()
        raise _Over

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except BaseException as error:
        if is_over.is_set():
            raise TimeLimitError(told) from error
        raise
    else:
        if is_over.is_set():  # and what ran within went on all the same
            raise TimeLimitError(told)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
