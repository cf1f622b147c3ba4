"""A sweep of three cells, recorded into a real store without being measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from sweeps.plan.config import SweepConfig
from sweeps.store.rows import cell_columns, samples_table
from sweeps.store.store import ResultStore

CONFIG = SweepConfig(workload="inference", device=("cpu",), batch_size=(1, 2, 3), precision=("fp32",), model=("m",))


def new_store(folder: Path) -> ResultStore:
    return ResultStore.create(folder / "s1", CONFIG, CONFIG.cells(), ["accelsweep", "inference"])


def record(store: ResultStore, index: int, status: str = "complete", config: SweepConfig = CONFIG) -> str:
    """Record a cell of a configuration with three samples and one round; its key."""
    cell = config.cells()[index]
    blocks = [("measure", 0, np.array([0.1, 0.2]), None), ("measure", 1, np.array([0.3]), np.array([0.0]))]
    rounds = [{"round": 0, "seconds": 0.3, "elapsed_s": 0.3, "items": 2}]
    store.record({**cell_columns(cell), "status": status}, samples_table(cell.key, blocks), rounds)
    return cell.key


def n_samples(store: ResultStore) -> dict[str, int]:
    """How many samples each cell has on disk, by its key."""
    keys = pq.read_table(store.folder / "samples", partitioning=None)["trial_key"].to_pylist()
    return {key: keys.count(key) for key in sorted(set(keys))}
