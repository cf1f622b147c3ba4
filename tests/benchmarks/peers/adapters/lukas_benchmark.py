"""LukasHedegaard's pytorch-benchmark: one call measures batch size 1 and the sample's, on the device and with copies."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import torch
from common import Cell, Figure, Peer, serve
from pytorch_benchmark import benchmark

N_RUNS_BY_DEFAULT = 100


class LukasBenchmark(Peer):
    name = "pytorch-benchmark"
    statistic = "mean"
    defaults = "num_runs=100, a tenth of it as warm-up, at batch 1 as well"

    def measure(self, prepared: Any, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        """Its warm-up is ``num_runs // 10``, not ours to choose."""
        answer = benchmark(prepared.module, sample=prepared.batch, num_runs=n_steps)
        timing = answer["timing"][f"batch_size_{cell.batch_size}"]
        on_device = timing["on_device_inference"]["metrics"]
        others = {
            name: float(columns["metrics"]["seconds_per_batch_mean"])
            for name, columns in timing.items()
            if name != "on_device_inference"
        }
        return Figure(
            latency_s=on_device["seconds_per_batch_mean"],
            throughput_per_s=on_device["batches_per_second_mean"] * cell.batch_size,
            others=others,
        )

    def measure_by_default(self, prepared: Any, cell: Cell) -> Figure:
        return self.measure(prepared, cell, 0, N_RUNS_BY_DEFAULT)

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__, "pytorch-benchmark": importlib.metadata.version("pytorch-benchmark")}


if __name__ == "__main__":
    serve(LukasBenchmark)
