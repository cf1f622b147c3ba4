"""Whole sweeps in processes of their own: starting, waiting, and what is kept from one to the next."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from tests.sweeps.conftest import ROOT


def start(tmp_path: Path, *arguments: str, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a command in a session of its own, under a prefix such as ``taskset``; what it prints is piped."""
    return subprocess.Popen(
        [*under, sys.executable, str(ROOT / "sweeps" / "run.py"), *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for_rows(results: Path, n: int, process: subprocess.Popen[str], *, beyond: int = 0) -> None:
    """Until a sweep that runs has recorded ``n`` cells more than the ``beyond`` that it has already."""
    deadline = time.monotonic() + 120
    while n_rows(results) < beyond + n:
        assert time.monotonic() < deadline, "no rows"
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.1)


def n_rows(results: Path) -> int:
    """Rows on disk, without reading them all; what was counted before costs a sweep that runs no time."""
    files = list(results.glob("*/trials/[!._]*.parquet"))
    return sum(_n_rows_of(file, file.stat().st_mtime_ns) for file in files)


@functools.cache
def _n_rows_of(file: Path, _written: int) -> int:
    return int(pq.read_metadata(file).num_rows)


SHADOWS = ("statistics.py", "random.py", "ray.py", "torch.py", "numpy.py", "sweeps/__init__.py", "workloads/__init__.py",
           "analysis/__init__.py")  # fmt: skip


def shadow(folder: Path) -> None:
    """Put modules of names that Python, torch, Ray or we have into a folder; importing one leaves a file ``ran``."""
    for module in SHADOWS:
        file = folder / module
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open({str(folder / 'ran')!r}, 'a').write('{module} ')")


def kept(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    """Every row of before is there after, as it was."""
    both = before.set_index("trial_key")[["started_at", "status", "wall_s"]]
    return both.equals(after.set_index("trial_key").loc[both.index, both.columns])
