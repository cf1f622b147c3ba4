"""Of the raw samples of each cell: the interval of its tail, and the percentiles of each of a search's runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.contract.cells import MIN_SAMPLES
from analysis.read.samples import samples_of
from analysis.stats.quantiles import cluster_sizes, quantile_interval
from analysis.subjects.latency.quantities import PERCENTILES, SHARES


def tail_intervals(trials: pd.DataFrame, sweeps: Sequence[Path]) -> pd.DataFrame:
    """The 95 % interval of each cell's 99th percentile, of those that have samples.

    Returns:
        ``sweep``, ``trial_key``, ``tail_low_s``, ``tail_high_s`` (NaN where an end is beyond the samples).
    """
    rows = []
    for name, key, mine in samples_of(trials, sweeps, single=True):
        sizes = cluster_sizes(mine["round"].to_numpy(np.int64))
        low, high = quantile_interval(mine["seconds"].to_numpy(np.float64), 0.99, sizes)
        rows.append({"sweep": name, "trial_key": key, "tail_low_s": low, "tail_high_s": high})
    columns = {"sweep": "object", "trial_key": "object", "tail_low_s": "float64", "tail_high_s": "float64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def run_percentiles(trials: pd.DataFrame, sweeps: Sequence[Path]) -> pd.DataFrame:
    """The percentiles of each round of the cells, which of a search is a run at one rate.

    Each is the smallest sample with that share of the samples at or under it, NaN from too few samples, as in the
    cells' own columns.

    Returns:
        ``sweep``, ``trial_key``, ``round`` and the columns of ``PERCENTILES``.
    """
    rows = []
    for name, key, mine in samples_of(trials, sweeps, single=True):
        for number, run in mine.groupby("round"):
            ordered = np.sort(run["seconds"].to_numpy(np.float64))
            told = {
                column: ordered[math.ceil(SHARES[p] * len(ordered) - 1e-9) - 1] if len(ordered) >= least else math.nan
                for (p, column), least in zip(PERCENTILES.items(), MIN_SAMPLES.values(), strict=True)
            }
            rows.append({"sweep": name, "trial_key": key, "round": number, **told})
    columns = {"sweep": "object", "trial_key": "object", **dict.fromkeys(["round", *PERCENTILES.values()], "float64")}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
