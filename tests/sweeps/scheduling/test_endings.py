"""A signal that was ignored when a process started stays ignored; all others interrupt. By real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from sweeps.launch.leftovers import Marked
from sweeps.launch.lost_servers import RayWatch
from sweeps.scheduling.endings import collected_signals, terminable
from tests.sweeps.conftest import ROOT

SCRIPT = """
import contextlib, os, signal, sys
from sweeps.launch.lost_servers import RayWatch
from sweeps.launch.leftovers import Marked
from sweeps.scheduling.endings import collected_signals, terminable

number = int(sys.argv[2])
before = signal.getsignal(number)
with contextlib.suppress(KeyboardInterrupt):
    watch = RayWatch(Marked("none"), "")
    kinds = {"terminable": terminable, "collected_signals": collected_signals, "watch": watch.interrupting}
    with kinds[sys.argv[1]]() as received:
        os.kill(os.getpid(), number)
        print("noted" if received else "went on")
print("restored" if signal.getsignal(number) is before else "changed")
"""


@pytest.mark.parametrize("is_ignored", [True, False])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("terminable", "HUP"), ("terminable", "TERM"), ("collected_signals", "HUP"), ("collected_signals", "INT"),
     ("collected_signals", "TERM"), ("watch", "USR1")],
)  # fmt: skip
def test_an_ignored_signal_stays_ignored_and_another_is_heeded(kind: str, name: str, is_ignored: bool) -> None:
    trap = f"trap '' {name}; " if is_ignored else ""
    script = [sys.executable, "-c", SCRIPT, kind, str(int(getattr(signal, f"SIG{name}")))]
    ended = subprocess.run(
        ["/bin/sh", "-c", f'{trap}exec "$@"', "sh", *script],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    heeded = ["noted"] if kind == "collected_signals" else []
    assert ended.stdout.split("\n")[:-1] == [*(["went on"] if is_ignored else heeded), "restored"], ended.stderr


def test_in_another_thread_nothing_is_handled() -> None:
    """Python takes handlers from the main thread alone."""

    def enter(kind: Callable[[], AbstractContextManager[object]]) -> object:
        with kind():
            return signal.getsignal(signal.SIGTERM)

    watch = RayWatch(Marked("none"), "")
    with ThreadPoolExecutor(1) as other:
        found = list(other.map(enter, (terminable, collected_signals, watch.interrupting)))
    assert found == [signal.getsignal(signal.SIGTERM)] * 3


def test_no_other_place_installs_a_handler() -> None:
    installs = re.compile(r"signal\.signal\(|sigaction|set_wakeup_fd|add_signal_handler")
    files = [p for folder in ("sweeps", "workloads", "analysis") for p in (ROOT / folder).rglob("*.py")]
    found = {p.name for p in files if installs.search(p.read_text(encoding="utf-8"))}
    # ray_session.py only restores what was there before Ray came; time_limit.py has the alarm, in a cell's process;
    # run.py leaves Ctrl-C to the system while it imports.
    assert found == {"endings.py", "lost_servers.py", "ray_session.py", "run.py", "time_limit.py"}
