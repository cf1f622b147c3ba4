"""(d) of ``cost.py``: what pruning saves, and whether it still finds the best cell.

Each seed measures a 24-cell grid of one stratum twice for real, whole and with a pruner, with an allocator that keeps its
memory (``KEPT_MEMORY``; ``--default-allocator`` leaves it as it is). The best cell of the pruned sweep is judged three ways:

- by its own seed: it is the whole grid's best, or in the whole grid its 95 % interval overlaps the best's;
- the same with another seed's whole grid instead of the pruned sweep, in all pairs: what a sweep without pruning finds;
- by all seeds: its median over the whole grids is the highest, or its interval overlaps that cell's. The interval is of
  the median of one figure a sweep, so that it holds how much a cell's speed differs from one sweep to the next, which the
  interval within a sweep cannot know.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cost import GRID, Watch, sweep, total

from analysis.contract.allocators import ALLOCATORS
from sweeps.measure.timing.statistics import median_interval
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.search_options import SearchOptions, pruning_config
from workloads.inference import Inference

PRUNED_GRID = replace(
    GRID, precision=("fp32",), option_axes={**GRID.option_axes, "implementation": ("eager", "frozen")},
    measure=MeasureConfig(min_rounds=5, min_s=2.0, max_s=2.0, round_s=0.1, warmup_max_s=1.0, report_every_s=0.0),
)  # fmt: skip
"""As many cells in one stratum: cells of different precisions are never pruned for one another."""
KEPT_MEMORY = ALLOCATORS["kept"].variables
"""What makes glibc keep freed memory, for (d) on Linux.

By default it may hand a large tensor back to the kernel after every step, or not, as the heap happens to lie: the same
cell's speed then differs by 40 % from one process to the next, and no pruner can know which one the other sweep will get.
"""


Rows = list[dict[str, Any]]


def _rate(row: dict[str, Any]) -> float:
    return float(row["throughput_items_per_s"])


def _name(row: dict[str, Any]) -> str:
    """What tells a cell from the others of its grid, in every seed; a trial's key holds the seed."""
    return TrialConfig.from_row(row).label.removeprefix("cpu fp32 ").replace(" efficientnet_lite0", "")


def _chosen(rows: Rows) -> str:
    """Name of the cell that a sweep calls the fastest."""
    return _name(max((row for row in rows if row["status"] == "complete"), key=_rate))


def is_found(whole: Rows, name: str) -> bool:
    """Whether a cell is a whole grid's best, or there statistically indistinguishable from it."""
    chosen, best = next(row for row in whole if _name(row) == name), max(whole, key=_rate)
    high, low = chosen["throughput_high_items_per_s"], best["throughput_low_items_per_s"]
    return chosen is best or (high is not None and low is not None and bool(high >= low))


def told(whole: Rows, pruned: Rows) -> str:
    """What a pruned sweep chose, beside the whole grid; where it was slower there, what became of the best."""
    name, best = _chosen(pruned), max(whole, key=_rate)
    chosen = next(row for row in whole if _name(row) == name)
    text = f"{name}, {_rate(chosen) / _rate(best) - 1:+.1%} of the best"
    if is_found(whole, name):
        return f"{text}: found"
    row = next(row for row in pruned if _name(row) == _name(best))
    return f"{text}: not found; the best was {row['status']}, {row.get('status_reason') or 'another was faster'}"


def by_all(wholes: Sequence[Rows], chosen: Sequence[str]) -> str:
    """How many of the choices are the best by all whole grids together, and between which rates the best lies."""
    rates: dict[str, list[float]] = {}
    for row in itertools.chain.from_iterable(wholes):
        rates.setdefault(_name(row), []).append(_rate(row))
    intervals = {key: median_interval(values) for key, values in rates.items()}
    best = max(rates, key=lambda key: float(np.median(rates[key])))
    low, high = intervals[best].low, intervals[best].high
    if low is None or high is None:
        return f"by all {len(wholes)} whole grids: too few for an interval"
    reach = {key for key, interval in intervals.items() if interval.high is not None and interval.high >= low}
    n = sum(key in reach for key in chosen)
    return (f"by all {len(wholes)} whole grids, in which the best cell gives {low:.0f} to {high:.0f} items/s and"
            f" {len(reach)} of {len(rates)} cells reach that: found for {n} of {len(chosen)} seeds")  # fmt: skip


def pruning(seeds: list[int], pruner: str, *, is_allocator_default: bool) -> None:
    """Print a line a seed, then the sums; the pruned sweep comes first for every other seed."""
    if not is_allocator_default:
        os.environ.update(KEPT_MEMORY)  # Ray's workers inherit it; this process has read its own
    asked = pruning_config(SearchOptions(pruner=pruner), Inference.defaults)  # type: ignore[arg-type]
    shares, wholes, chosen = [], [], []
    for seed in seeds:
        whole = replace(PRUNED_GRID, seed=seed)
        rows: dict[str, Rows] = {}
        for name, config in (("whole", whole), ("pruned", replace(whole, pruning=asked)))[:: -1 if seed % 2 else 1]:
            with tempfile.TemporaryDirectory() as scratch:
                watch = Watch()
                sweep(config, Path(scratch) / name, watch)
                rows[name] = watch.rows
        measured = {name: total(rows[name], "measured_s") for name in rows}
        warm = {name: total(rows[name], "measured_s", "warmup_s") for name in rows}
        n_pruned = sum(row["status"] == "pruned" for row in rows["pruned"])
        shares.append(measured["pruned"] / measured["whole"])
        wholes.append(rows["whole"])
        chosen.append(_chosen(rows["pruned"]))
        print(f"    seed {seed}: {measured['pruned']:.1f} s of {measured['whole']:.1f} s measured ({shares[-1]:.0%}; with"
              f" warm-up {warm['pruned'] / warm['whole']:.0%}), {n_pruned} of {len(rows['pruned'])} pruned;"
              f" {told(rows['whole'], rows['pruned'])}", flush=True)  # fmt: skip
    parameters = " ".join(f"{name} {value}" for name, value in asked.parameters.items())
    print(f"(d) with --pruner {pruner} ({parameters}, margin {asked.margin:g}): {np.mean(shares):.0%} of the whole grid's"
          f" measuring time (from {min(shares):.0%} to {max(shares):.0%})")  # fmt: skip
    own = sum(is_found(whole, key) for whole, key in zip(wholes, chosen, strict=True))
    pairs = [is_found(one, _chosen(other)) for one, other in itertools.permutations(wholes, 2)]
    print(f"    best cell by its own seed's whole grid: found for {own} of {len(seeds)} seeds", end="")
    print(f"; another whole grid's would have been in {np.mean(pairs):.0%} of {len(pairs)} pairs" if pairs else "")
    print(f"    {by_all(wholes, chosen)}")
