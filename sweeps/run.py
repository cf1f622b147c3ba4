"""START HERE: ``python sweeps/run.py WORKLOAD [options]`` runs a sweep and writes its report.

The way of the data: command line -> SweepConfig -> TrialConfig (a cell) -> Workload -> rounds of samples ->
row -> Parquet -> frame -> table and figure -> report.md.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
gc.set_threshold(50_000)  # of what a command imports nothing is garbage: looking through it took 0.3 s of a core
atexit.register(gc.freeze)  # Python would look through all that Ray and pandas made once more: 0.6 s of a core


def _put_the_users_folder_last() -> None:
    """Let a ``statistics.py`` where the user is be no module of ours, of Python's or of torch's.

    Python looks there first for ``-m``, and for an empty entry of PYTHONPATH, which
    ``export PYTHONPATH=$PYTHONPATH:...`` leaves. A folder that is named there keeps its place, also in what we start.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [os.path.abspath(entry) for entry in entries if entry]
    if any(entries):
        os.environ["PYTHONPATH"] = os.pathsep.join(named)
    here = os.getcwd()
    if here in sys.path and here not in {*named, str(_ROOT)}:
        sys.path.remove(here)
        sys.path.append(here)


if sys.path and Path(sys.path[0] or ".").resolve() == _ROOT / "sweeps":
    sys.path[0] = str(_ROOT)  # started as a script: this folder's files are no top-level modules
if os.path.exists("."):  # a folder that is gone has no files
    _put_the_users_folder_last()


def _imported() -> Callable[..., int]:
    """The commands' main; Ctrl-C while it is imported ends the process as others are, without a traceback."""
    is_first = threading.current_thread() is threading.main_thread()
    is_heard = is_first and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from sweeps.commands import main

        return main
    finally:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)


main = _imported()
__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
