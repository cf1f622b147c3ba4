"""SIGTERM and SIGHUP do what Ctrl-C does: a scheduler that ends a job, or a terminal that is closed, loses nothing."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


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
    names = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {n: signal.signal(n, interrupt) for n in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
