"""The interval of each cell's tail, of its raw samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.read.samples import samples_of
from analysis.stats.quantiles import cluster_sizes, quantile_interval


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
