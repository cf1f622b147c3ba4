"""torch.utils.benchmark.Timer on a step: ``timeit`` for a number of steps, ``blocked_autorange`` by default."""

from __future__ import annotations

from typing import Any

import torch
from common import Cell, Figure, Peer, reference_loop, serve
from torch.utils import benchmark


class TorchTimer(Peer):
    name = "torch.utils.benchmark"
    statistic = "mean"  # timeit(n) times n steps as one block
    defaults = "blocked_autorange(min_run_time=0.2), num_threads=1"

    def measure(self, prepared: Any, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        timer = benchmark.Timer(
            "step()", globals={"step": prepared.step}, num_threads=torch.get_num_threads()
        )  # its own default is one thread
        reference_loop(prepared.step, n_warmup, prepared.batch.device)
        median_s = timer.timeit(n_steps).median
        return Figure(latency_s=median_s, throughput_per_s=cell.batch_size / median_s)

    def measure_by_default(self, prepared: Any, cell: Cell) -> Figure:
        median_s = benchmark.Timer("step()", globals={"step": prepared.step}).blocked_autorange().median
        return Figure(latency_s=median_s, throughput_per_s=cell.batch_size / median_s)


if __name__ == "__main__":
    serve(TorchTimer)
