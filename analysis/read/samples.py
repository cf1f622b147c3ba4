"""The raw samples of cells of several sweeps, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.contract.cells import MEASURE, SINGLE
from analysis.read.published import has_more_tables
from analysis.read.sweep import load_samples
from analysis.read.sweeps import names

_COLUMNS = ("trial_key", "phase", "round", "index", "seconds")


def samples_of(
    trials: pd.DataFrame, sweeps: Sequence[Path], *, single: bool = False
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Sweep, key and samples in the order of measurement of each cell that has some.

    Those of the rounds; where one of them is the mean of several steps and ``single`` ones are asked for, those of the
    steps timed one by one.
    """
    for folder, name in zip(sweeps, names(sweeps), strict=True):
        cells = trials[trials["sweep"] == name]
        keys = cells["trial_key"].dropna().tolist()
        if not keys or not has_more_tables(folder):
            continue
        samples = load_samples(folder, _COLUMNS, keys)
        if samples.empty or not {"trial_key", "seconds", "round"} <= set(samples):
            continue
        samples = samples[np.isfinite(samples["seconds"].astype("float64"))]
        if "phase" in samples:
            several = cells.loc[cells["steps_per_sample"] > 1, "trial_key"] if single else ()
            samples = samples[samples["phase"] == np.where(samples["trial_key"].isin(several), SINGLE, MEASURE)]
        order = [c for c in ("trial_key", "round", "index") if c in samples]
        for key, mine in samples.sort_values(order, kind="stable").groupby("trial_key", sort=False):
            yield name, str(key), mine
