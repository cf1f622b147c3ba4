"""The synchronised loop by itself: the least that a tool can do, and in turns with itself what this machine tells apart."""

from __future__ import annotations

from typing import Any

from common import Cell, Figure, Peer, of_samples, reference_loop, serve


class ReferenceLoop(Peer):
    name = "reference loop"
    statistic = "median"
    defaults = "as in the grid"

    def measure(self, prepared: Any, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        reference_loop(prepared.step, n_warmup, prepared.batch.device)
        median_s = of_samples(reference_loop(prepared.step, n_steps, prepared.batch.device))["median"]
        return Figure(latency_s=median_s, throughput_per_s=cell.batch_size / median_s)

    def measure_by_default(self, prepared: Any, cell: Cell) -> Figure:
        return self.measure(prepared, cell, 10, 40)


if __name__ == "__main__":
    serve(ReferenceLoop)
