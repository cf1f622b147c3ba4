"""A sweep of three cells, recorded into a real store without being measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from sweeps.plan.config import SweepConfig
from sweeps.store.rows import cell_columns, samples_table
from sweeps.store.schema import SCHEMA_VERSION
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


STEP_S = {"old": 0.4, "new": 0.1}


def write(
    results: Path, machine: str, sweep_id: str, sizes: tuple[int, ...] = (1, 2), began: str = "2026-01-01"
) -> Path:
    """A sweep of a machine, whose every step takes the same time; joined into one file a table."""
    config = SweepConfig(workload="inference", device=("cpu",), batch_size=sizes, precision=("fp32",), model=("m",))
    store = ResultStore.create(results / sweep_id, config, config.cells(), ["accelsweep", "inference", "--model", "m"])
    for i, cell in enumerate(config.cells()):
        step = STEP_S[machine]
        rate = cell.batch_size / step
        row = {
            **cell_columns(cell), "schema_version": SCHEMA_VERSION, "sweep_id": sweep_id, "trial_index": i,
            "status": "complete", "throughput_items_per_s": rate, "step_median_s": step, "step_median_low_s": step,
            "step_median_high_s": step, "throughput_low_items_per_s": rate, "throughput_high_items_per_s": rate,
            "item": "images", "items_per_step": cell.batch_size, "timing_verified": True, "host": machine,
            "cpu_name": f"{machine} processor", "torch_version": "2.14" if machine == "new" else "2.11",
            "started_at": pd.Timestamp(began, tz="UTC") + pd.Timedelta(seconds=i),
            "clock_offset_s": None, "stability": "stable", "weights": "imagenet", "steps_per_sample": 1,
        }  # fmt: skip
        blocks = [("measure", n, np.full(20, step), None) for n in range(5)]
        rounds = [{"round": n, "seconds": 20 * step, "items": 20, "elapsed_s": 1.0 + n} for n in range(5)]
        store.record(row, samples_table(cell.key, blocks), rounds)
    store.compact()
    return store.folder
