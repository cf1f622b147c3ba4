"""Sweeps in this process: Ray's loop is replaced, and all else of a sweep is what a user runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sweeps.cell.cell_run import CellRun
from sweeps.plan.runs import measure_of
from tests.sweeps.shared_ray import share

FACTS = {"timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": 1e9, "ceiling_flop_per_s": {"fp32": 2e9}}


class Loop:
    """Stands in for ``launch``: runs the ledger's cells one after another, as Tune would.

    Args:
        ends: By how many cells have ended, what happens then instead of the next one.
    """

    def __init__(self, ends: dict[int, Callable[[], Any]] | None = None) -> None:
        self.ends, self.n_ended = ends or {}, 0

    def __call__(self, config: Any, ledger: Any, *_: Any, **__: Any) -> Sequence[Any]:
        while True:
            self.ends.get(self.n_ended, lambda: None)()
            trial_id = str(self.n_ended)
            cell = ledger.hand_out(trial_id)
            if cell is None:
                return []
            ledger.start(trial_id)
            run = CellRun(cell, measure_of(cell, config), n_threads=1, device_facts=FACTS)
            while not run.is_finished:
                run.advance()
            ledger.receive(trial_id, run.take_message())
            self.n_ended += 1


def put_loop(monkeypatch: pytest.MonkeyPatch, ends: dict[int, Callable[[], Any]] | None = None) -> Loop:
    """Have sweeps of this process run in this process from now on."""
    loop = Loop(ends)
    share(monkeypatch)  # no Ray is started
    monkeypatch.setattr("sweeps.launch.tune_loop.launch", loop)
    return loop


def rows_of(results: Path) -> pd.DataFrame:
    """The rows of the only sweep in a results folder."""
    (sweep,) = [p for p in results.iterdir() if (p / "sweep.json").exists()]
    return pd.read_parquet(sweep / "trials")
