"""Which runs of its cells a sweep adds once each has been measured: repeats, other seeds, or the recheck.

They come in rounds, one for each repeat and seed, each with every cell in an order drawn from the sweep's seed: what
drifts slowly then spreads over all cells, and none is measured twice in a row, which an order drawn over all pairs at
once would allow.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterable, Sequence

from analysis.contract.cells import Row
from analysis.contract.runs import is_first, rechecked
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import MeasureConfig


def first_run(cell: TrialConfig, config: SweepConfig) -> TrialConfig:
    """The run of a cell that comes before all others of it."""
    return dataclasses.replace(cell, seed=config.seed, repeat=1)


def without_run(cell: TrialConfig) -> TrialConfig:
    """A cell for people, whichever of its runs it is."""
    return dataclasses.replace(cell, seed=0, repeat=1)


def measure_of(cell: TrialConfig, config: SweepConfig) -> MeasureConfig:
    """How a run is measured: of interleaved rounds the first in visits; of a recheck the speed alone.

    Only the first is profiled.
    """
    if cell == first_run(cell, config):
        return config.measure.per_visit()
    return dataclasses.replace(config.measure, is_recheck=config.n_runs == 1, profile=False)


def shuffled(cells: Sequence[TrialConfig], config: SweepConfig, repeat: int = 1) -> list[TrialConfig]:
    """The cells in the order of one round, whichever order they come in."""
    drawn = sorted(cells, key=lambda cell: cell.key)
    random.Random(f"{config.seed} {repeat}").shuffle(drawn)
    return drawn


def later_runs(config: SweepConfig, rows: Iterable[Row]) -> list[TrialConfig]:
    """What is measured after the first runs, of which these rows (and others) tell, in order; done or not."""
    firsts = [row for row in rows if row["status"] == "complete" and is_first(row, {"seed": config.seed})]
    if config.n_runs == 1:
        again = rechecked(firsts) if config.recheck else []
        return [dataclasses.replace(TrialConfig.from_row(row), repeat=2) for row in again]
    cells = [TrialConfig.from_row(row) for row in firsts]
    seeds = (config.seed, *config.other_seeds)
    rounds = list(itertools.product(range(1, config.repeats + 1), seeds))[1:]
    return [
        dataclasses.replace(cell, seed=seed, repeat=repeat)
        for n, (repeat, seed) in enumerate(rounds, start=2)
        for cell in shuffled(cells, config, n)
    ]
