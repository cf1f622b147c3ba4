"""What takes longer than it may is interrupted, even where exceptions are caught to go on without them."""

from __future__ import annotations

import contextlib
import signal
import threading
import time

import pytest

from sweeps.cell.outcome import outcome_of
from sweeps.measure.timing.time_limit import TimeLimitError, time_limit

LONG_S = 20.0


def wait() -> None:
    """As a compiler that tries one kernel after the other, of which any may fail."""
    end = time.monotonic() + LONG_S
    while time.monotonic() < end:
        try:
            time.sleep(0.001)
        except Exception:
            continue


def wrapped() -> None:
    try:
        wait()
    except BaseException as error:
        raise RuntimeError("backend failed") from error


def swallowed() -> None:
    with contextlib.suppress(BaseException):
        wait()


@pytest.mark.parametrize("long", [wait, wrapped, swallowed])
def test_it_is_ended_and_says_which_limit_it_was(long) -> None:
    before, began = signal.getsignal(signal.SIGALRM), time.monotonic()
    with (
        pytest.raises(TimeLimitError, match="over --autotune-timeout") as caught,
        time_limit(0.05, "over --autotune-timeout"),
    ):
        long()
    assert time.monotonic() - began < LONG_S / 2
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert outcome_of(caught.value).status == "timeout"
    assert outcome_of(caught.value).status_reason == "over --autotune-timeout"


def test_what_is_in_time_or_has_no_limit_or_fails_otherwise_is_left_alone() -> None:
    with time_limit(LONG_S, ""), time_limit(None, ""):
        time.sleep(0.001)
    with pytest.raises(ZeroDivisionError), time_limit(LONG_S, ""):
        _ = 1 / 0
    done: list[int] = []

    def in_a_thread() -> None:
        with time_limit(1e-6, ""):
            time.sleep(0.01)
        done.append(1)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert done == [1], "signals are for the main thread"
