"""Hand-made rows as real Parquet, in the schema that sweeps write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeps.schema import ROUNDS, SAMPLES, SCHEMA_VERSION, TRIALS

Write = Callable[..., Path]


def row(index: int = 0, **values: Any) -> dict[str, Any]:
    """A complete cell of 100 ms steps; ``values`` change it."""
    batch, step = values.get("batch_size", 8), values.get("step_median_s", 0.1)
    plain = {
        "schema_version": SCHEMA_VERSION, "sweep_id": "s", "trial_key": f"k{index:03d}", "trial_index": index,
        "status": "complete", "workload": "inference", "device": "cpu", "model": "m", "batch_size": batch,
        "precision": "fp32", "memory_format": "contiguous", "compile": "none", "scenario": "single-stream",
        "item": "images", "items_per_step": batch, "n_samples": 100, "n_rounds": 5, "step_median_s": step,
        "step_median_low_s": step * 0.99, "step_median_high_s": step * 1.01, "step_iqr_ratio": 0.02,
        "throughput_items_per_s": batch / step, "throughput_low_items_per_s": batch / step / 1.01,
        "throughput_high_items_per_s": batch / step / 0.99, "stability": "stable", "timing_verified": True,
        "weights": "imagenet", "input_is_synthetic": False, "peak_rss_bytes": 2**30, "host": "h1",
        "torch_version": "2.15", "other_load_ratio": 0.0, "options": "{}",
    }  # fmt: skip
    return {**plain, **values}


@pytest.fixture
def write_sweep(tmp_path: Path) -> Write:
    """``write_sweep(rows, name="s", samples=[...], rounds=[...], n_cells=None)`` makes a sweep's folder."""

    def write(
        rows: Sequence[Mapping[str, Any]], name: str = "s", samples: Sequence[Mapping[str, Any]] = (),
        rounds: Sequence[Mapping[str, Any]] = (), n_cells: int | None = None, created_at: str = "2026-01-01T00:00:00",
    ) -> Path:  # fmt: skip
        folder = tmp_path / name
        tables = (("trials", TRIALS, rows), ("samples", SAMPLES, samples), ("rounds", ROUNDS, rounds))
        for table, schema, content in tables:
            (folder / table).mkdir(parents=True, exist_ok=True)
            if content:
                path = folder / table / "part-0.parquet"
                pq.write_table(pa.Table.from_pylist([dict(r) for r in content], schema=schema), path)
        description = {
            "schema_version": SCHEMA_VERSION, "sweep_id": name, "created_at": created_at,
            "n_cells": len(rows) if n_cells is None else n_cells, "command": ["accelsweep", "inference"],
            "config": {"workload": "inference"},
        }  # fmt: skip
        (folder / "sweep.json").write_text(json.dumps(description))
        return folder

    return write
