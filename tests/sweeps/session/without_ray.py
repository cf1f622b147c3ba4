"""Sweeps in this process: Ray's loop is replaced, and all else of a sweep is what a user runs."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from sweeps.cell.cell_run import CellRun
from sweeps.plan.runs import measure_of
from tests.sweeps.installed import install
from tests.sweeps.shared_ray import share

TINY = Path(__file__).parent.parent / "cell" / "tiny.py"
QUICK = ("--device", "cpu", "--min-rounds", "1", "--min-s", "0.002", "--max-s", "0.004", "--no-report", "--no-recheck")
"""Options of a sweep whose cells take no longer than they must, each measured once."""
FACTS = {"timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": 1e9, "ceiling_flop_per_s": {"fp32": 2e9}}


class Loop:
    """Stands in for ``launch``: runs the ledger's cells one after another, as Tune would.

    Args:
        ends: By how many cells have ended, what happens then instead of the next one.
    """

    def __init__(self, ends: dict[int, Callable[[], Any]] | None = None) -> None:
        self.ends, self.n_ended = ends or {}, 0

    def __call__(self, config: Any, ledger: Any, *_: Any, **__: Any) -> Sequence[Any]:
        gc.freeze()  # what is imported by now: each cell collects garbage, and would look through it
        while True:
            self.ends.get(self.n_ended, lambda: None)()
            trial_id = str(self.n_ended)
            cell = ledger.hand_out(trial_id)
            if cell is None:
                return []
            ledger.start(trial_id)
            run = CellRun(cell, measure_of(cell, config), n_threads=1, device_facts=copy.deepcopy(FACTS))
            while not run.is_finished:
                run.advance()
            ledger.receive(trial_id, run.take_message())
            self.n_ended += 1


def put_loop(monkeypatch: pytest.MonkeyPatch, ends: dict[int, Callable[[], Any]] | None = None) -> Loop:
    """Have sweeps of this process run in this process from now on."""
    loop = Loop(ends)
    share(monkeypatch)  # no Ray is started
    monkeypatch.setitem(
        sys.modules, "sweeps.launch.tune_loop", SimpleNamespace(launch=loop)
    )  # whose own imports are dear
    return loop


def rows_of(results: Path) -> pd.DataFrame:
    """The rows of the only sweep in a results folder."""
    (sweep,) = [p for p in results.iterdir() if (p / "sweep.json").exists()]
    return pd.read_parquet(sweep / "trials")


def put_tiny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the workload ``tiny`` as a package, and work in the folder from now on."""
    monkeypatch.syspath_prepend(install(folder / "site", "tiny:Tiny", TINY.read_text()))
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    monkeypatch.setattr("sweeps.cell.device_facts._IN_THIS_PROCESS", {})
    monkeypatch.chdir(folder)


def raising(error: BaseException) -> Callable[[], Any]:
    def end() -> None:
        raise error

    return end


def sweep_id(results: Path) -> str:
    (sweep,) = [p.name for p in results.iterdir() if (p / "sweep.json").exists()]
    return sweep
