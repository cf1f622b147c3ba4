"""The timed samples of the cells that the answer names, run by run. No drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.groups import groups, task_columns
from analysis.cells.naming import label
from analysis.cells.pooling import SAME_PLACE
from analysis.cells.ranking import rank, speed
from analysis.cells.rows import Row, complete, records, setting_columns
from analysis.cells.usable import usable
from analysis.contract.cells import SERVER, known
from analysis.contract.runs import SAME_CELL
from analysis.read.samples import samples_of
from analysis.text import is_missing

MIN_SAMPLES = 10
MAX_LAG = 40
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One measurement of a cell: samples in seconds in their order, shape (n,), and the round and the steps of each."""

    seconds: Floats
    rounds: NDArray[np.int64]
    n_steps: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """A cell with its runs; ``is_server``: what is timed is requests, which overlap."""

    name: str
    is_server: bool
    runs: Sequence[Run]

    @property
    def seconds(self) -> Floats:
        """The samples of all runs."""
        return np.concatenate([run.seconds for run in self.runs])

    @cached_property
    def alike(self) -> Floats:
        """The autocorrelation at lags 0 to ``MAX_LAG``, the mean over the runs; empty of constant samples."""
        found = [told for run in self.runs if (told := autocorrelation(run.seconds)).size]
        n = min((told.size for told in found), default=0)
        return np.mean([told[:n] for told in found], axis=0) if n else np.empty(0)

    @property
    def n_worth(self) -> float:
        """At most so many independent samples tell as much of the mean.

        n over the sum of the autocorrelation at all lags on both sides, of which those before the first pair of lags
        with a sum under 0 count (C. J. Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7:4, 1992, the
        initial positive sequence), and none beyond ``MAX_LAG``; never over n.
        """
        pairs = self.alike[: self.alike.size // 2 * 2].reshape(-1, 2).sum(axis=1)
        n_positive = int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(pairs)
        return len(self.seconds) / max(1.0, 2 * float(pairs[:n_positive].sum()) - 1)

    @property
    def medians(self) -> list[float]:
        """Of each run, in seconds."""
        return [float(np.median(run.seconds)) for run in self.runs]


def autocorrelation(values: Floats, n_lags: int = MAX_LAG) -> Floats:
    """The sample autocorrelation at lags 0 to ``n_lags`` or half of the values, shape (lags + 1,); empty of constants.

    G. E. P. Box and G. M. Jenkins, Time Series Analysis, 2.1.5: covariances over n, so that no lag exceeds 1.
    """
    if len(values) < 2 or np.ptp(values) == 0:
        return np.empty(0)
    from_mean = values - values.mean()
    lags = range(min(n_lags, len(values) // 2) + 1)
    products = [float(from_mean[: len(values) - lag] @ from_mean[lag:]) for lag in lags]
    return np.array(products) / products[0]


def headlines(frame: pd.DataFrame) -> list[tuple[str, Row]]:
    """For each machine and task the fastest cell that may be chosen, behind what tells it from all others in words."""
    named = task_columns(frame)
    settings = list(dict.fromkeys([*named, *setting_columns(frame)]))
    found = [rank(records(usable(task.cells)), speed) for task in groups(complete(frame), named)]
    return [(label(one.row, settings), one.row) for one in found if one is not None]


def sampled(frame: pd.DataFrame, every: pd.DataFrame, sweeps: Sequence[Path]) -> list[Sampled]:
    """The headline cells of a frame with the samples of all their runs, of which ``every`` has a row each.

    Cells without ``MIN_SAMPLES`` samples are left out.
    """
    whole = complete(every)
    same = [c for c in (*SAME_CELL, *SAME_PLACE) if c in every and c in frame]
    keys = [_words(row, same) for row in records(whole)]
    found = []
    for name, row in headlines(frame):
        mine = whole[[key == _words(row, same) for key in keys]]
        steps = {(r["sweep"], r["trial_key"]): known(r["steps_per_sample"]) or 1.0 for r in records(mine)}
        runs = [
            Run(seconds=samples["seconds"].to_numpy(np.float64), rounds=samples["round"].to_numpy(np.int64),
                n_steps=steps[sweep, key])
            for sweep, key, samples in samples_of(mine, sweeps) if len(samples) >= MIN_SAMPLES
        ]  # fmt: skip
        if runs:
            found.append(Sampled(name=name, is_server=row["scenario"] == SERVER, runs=runs))
    return found


def repeated(every: pd.DataFrame) -> pd.DataFrame:
    """The runs of cells that have several, with ``minutes`` since the first run of all and ``speed_ratio``.

    That is a run's throughput over the geometric mean of its cell's.
    """
    runs = complete(every)
    runs = runs[runs["started_at"].notna() & (runs["throughput_items_per_s"] > 0)]
    same = [c for c in (*SAME_CELL, *SAME_PLACE) if c in runs]
    cell = pd.Series([_words(row, same) for row in records(runs)], index=runs.index, dtype="object")
    logs = np.log(runs["throughput_items_per_s"].astype("float64"))
    of_cell = logs.groupby(cell)
    began = pd.to_datetime(runs["started_at"], utc=True)
    runs = runs.assign(
        minutes=(began - began.min()).dt.total_seconds() / 60, speed_ratio=np.exp(logs - of_cell.transform("mean"))
    )
    return runs[of_cell.transform("size") > 1]


def _words(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple("" if is_missing(row[c]) else str(row[c]) for c in columns)
