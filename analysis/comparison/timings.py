"""The raw samples of a side's cells, as blocks of seconds per item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.cells.matching import Side
from analysis.contract.cells import SERVER
from analysis.stats.resampling import MIN_BLOCKS, Blocks, Floats, median_draws, ratio_interval


class Timings:
    """Looks up the measured samples of a side's rows.

    A block is a round. Where a cell was measured in three sweeps or more, a block is a sweep: then the
    interval holds what differs from one run to the next too, which no single run can know.
    """

    def __init__(self, side: Side) -> None:
        self._trials, samples = side.rows, side.samples
        self._seconds = samples["seconds"].to_numpy(np.float64, na_value=np.nan)
        self._round = samples["round"].to_numpy(np.int64)
        self._rows = samples.groupby(["sweep_id", "trial_key"], sort=False, observed=True).indices

    def blocks(self, positions: Sequence[int]) -> Blocks | None:
        """Seconds per item of the trials at these row positions, which are one cell measured repeatedly.

        Of the server scenario: seconds from a request's scheduled arrival to its answer.
        None where there are no samples.
        """
        found = []
        for row in (self._trials[position] for position in positions):
            where = self._rows.get((row["sweep_id"], row["trial_key"]), [])
            values = self._seconds[where] / items_per_sample(row)
            usable = values > 0  # also drops NaN
            if usable.any():
                found.append((values[usable], self._round[where][usable]))
        if not found:
            return None
        runs = np.repeat(np.arange(len(found)), [len(values) for values, _ in found])
        rounds = np.concatenate([rounds for _, rounds in found])
        block = runs if len(found) >= MIN_BLOCKS else runs * (int(rounds.max()) + 1) + rounds
        return Blocks(values=np.concatenate([values for values, _ in found]), block=block.astype(np.int64))


def drawn_ratio(a: Blocks | None, b: Blocks | None, rng: np.random.Generator) -> tuple[Floats | None, float, float]:
    """Bootstrap draws of the ratio of two medians and its interval; None and NaN where a side has too few blocks."""
    if a is None or b is None or min(a.n_blocks, b.n_blocks) < MIN_BLOCKS:
        return None, math.nan, math.nan
    draws = median_draws(a, rng) / median_draws(b, rng)
    return draws, *ratio_interval(a, b, draws)


def items_per_sample(row: dict[str, Any]) -> float:
    """Items that one sample of a row stands for: items per step times steps per sample, a request is one."""
    if row.get("scenario") == SERVER:
        return 1.0
    items = row.get("items_per_step") or row.get("batch_size") or 1
    return float(items) * float(row.get("steps_per_sample") or 1)
