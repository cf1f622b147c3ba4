"""timm's inference benchmark re-created from its documented settings, on the same model as all.

What is documented (its benchmark.py: the options ``--num-warm-iter`` 10, ``--num-bench-iter`` 40, ``--amp``,
``--channels-last``): gradients off, cuDNN's search for the fastest algorithm on, autocast around each forward pass,
step time = sum of the steps' times over their number, rate = items over the time of the whole loop. The clock waits for
the device only if the device's name holds the one word below; on any other accelerator it does not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from common import Cell, Figure, Peer, serve, synchronize

WAITED_FOR = "cuda"
"""The only device whose work benchmark.py waits for (BenchmarkRunner.__init__ chooses ``time_fn`` by this word)."""


class TimmLoop(Peer):
    name = "timm's loop"
    statistic = "mean"
    defaults = "10 warm-ups, 40 iterations"

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__(request)
        torch.backends.cudnn.benchmark = True

    def references(self, cell: Cell, device_name: str, prepared: Any) -> dict[str, Callable[[], object]]:
        """The reference of all tools, and the same loop with gradients off as this tool has them off."""

        def without_gradients() -> None:
            with torch.no_grad():
                prepared.module(prepared.batch)

        return {"reference": prepared.step, "reference under no_grad": without_gradients}

    def measure(self, prepared: Any, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        device = prepared.batch.device
        waits = WAITED_FOR in str(device)

        def one() -> float:
            began = time.perf_counter()
            prepared.module(prepared.batch)
            if waits:
                synchronize(device)
            return time.perf_counter() - began

        with torch.no_grad():
            for _ in range(n_warmup):
                one()
            began = time.perf_counter()
            in_steps_s = sum(one() for _ in range(n_steps))
            if waits:
                synchronize(device)
            elapsed_s = time.perf_counter() - began
        return Figure(latency_s=in_steps_s / n_steps, throughput_per_s=n_steps * cell.batch_size / elapsed_s)

    def measure_by_default(self, prepared: Any, cell: Cell) -> Figure:
        return self.measure(prepared, cell, 10, 40)


if __name__ == "__main__":
    serve(TimmLoop)
