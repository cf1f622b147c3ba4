"""The intervals of tails, from the raw samples of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.contract.cells import MEASURE, SINGLE
from analysis.read.sweep import load_samples
from analysis.read.sweeps import names
from analysis.stats.quantiles import cluster_sizes, quantile_interval

_COLUMNS = ("trial_key", "phase", "round", "index", "seconds")


def tail_intervals(trials: pd.DataFrame, sweeps: Sequence[Path]) -> pd.DataFrame:
    """The 95 % interval of each cell's 99th percentile, of those that have samples; a Parquet file has none.

    Returns:
        ``sweep``, ``trial_key``, ``tail_low_s``, ``tail_high_s`` (NaN where an end is beyond the samples).
    """
    rows = []
    for folder, name in zip(sweeps, names(sweeps), strict=True):
        keys = trials.loc[trials["sweep"] == name, "trial_key"].dropna().tolist()
        if not keys or not folder.is_dir():
            continue
        samples = load_samples(folder, _COLUMNS, keys)
        if samples.empty or not {"trial_key", "seconds", "round"} <= set(samples):
            continue
        if "phase" in samples:
            several = trials.loc[trials["steps_per_sample"] > 1, "trial_key"]
            single = samples["trial_key"].isin(several)
            samples = samples[samples["phase"] == np.where(single, SINGLE, MEASURE)]
        order = [c for c in ("trial_key", "round", "index") if c in samples]
        for key, mine in samples.sort_values(order, kind="stable").groupby("trial_key", sort=False):
            sizes = cluster_sizes(mine["round"].to_numpy(np.int64))
            low, high = quantile_interval(mine["seconds"].to_numpy(np.float64), 0.99, sizes)
            rows.append({"sweep": name, "trial_key": key, "tail_low_s": low, "tail_high_s": high})
    columns = {"sweep": "object", "trial_key": "object", "tail_low_s": "float64", "tail_high_s": "float64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
