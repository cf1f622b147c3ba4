"""The raw samples of a side's cells, as blocks of seconds per item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.matching import Side
from analysis.contract.cells import SERVER
from analysis.stats.resampling import MIN_BLOCKS, Blocks, Floats


class Timings:
    """Looks up the measured samples of a side's rows.

    A block is a round. Where a cell was measured in three sweeps or more, a block is a sweep: then the
    interval holds what differs from one run to the next too, which no single run can know.
    """

    def __init__(self, side: Side) -> None:
        self._trials = side.rows
        samples = side.samples
        if "phase" in samples:
            samples = samples[(samples["phase"] == "measure").to_numpy()]
        self._seconds = samples["seconds"].to_numpy(np.float64, na_value=np.nan)
        self._round = samples["round"].to_numpy(np.int64)
        self._names = ["sweep_id", "trial_key"] if "sweep_id" in samples else ["trial_key"]
        groups = samples.groupby(self._names, sort=False, observed=True).indices
        self._rows: dict[tuple[object, ...], NDArray[np.intp]] = {
            name if isinstance(name, tuple) else (name,): np.asarray(rows) for name, rows in groups.items()
        }

    def blocks(self, positions: Sequence[int]) -> Blocks | None:
        """Seconds per item of the trials at these row positions, which are one cell measured repeatedly.

        Of the server scenario: seconds from a request's scheduled arrival to its answer.
        None where there are no samples.
        """
        found = [part for position in positions if (part := self._of_row(position)) is not None]
        if not found:
            return None
        runs = np.repeat(np.arange(len(found)), [len(values) for values, _ in found])
        rounds = np.concatenate([rounds for _, rounds in found])
        block = runs if len(found) >= MIN_BLOCKS else runs * (int(rounds.max()) + 1) + rounds
        return Blocks(values=np.concatenate([values for values, _ in found]), block=block.astype(np.int64))

    def _of_row(self, position: int) -> tuple[Floats, NDArray[np.int64]] | None:
        row = self._trials[position]
        where = self._rows.get(tuple(row[name] for name in self._names))
        if where is None:
            return None
        values, rounds = self._seconds[where] / items_per_sample(row), self._round[where]
        usable = values > 0  # also drops NaN
        return (values[usable], rounds[usable]) if usable.any() else None


def items_per_sample(row: dict[str, Any]) -> float:
    """Items that one sample of a row stands for: items per step times steps per sample, a request is one."""
    if row.get("scenario") == SERVER:
        return 1.0
    items = row.get("items_per_step") or row.get("batch_size") or 1
    return float(items) * float(row.get("steps_per_sample") or 1)
