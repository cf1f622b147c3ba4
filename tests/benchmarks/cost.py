"""What a sweep costs beside what it measures, on a 24-cell inference grid in one run.

    python tests/benchmarks/cost.py [--device NAME]
        (a) share measured, (b) overhead per trial, (c) against a process per cell
    python tests/benchmarks/cost.py --pruning [--pruner NAME]
        (d) measuring time with pruning against the full grid, over ten seeds

Measured is what the rows' columns ``warmup_s`` and ``measured_s`` say, and with them the time of what is measured once
(transfers, agreement), told apart. A trial's overhead is the time from the end of one cell's ``wall_s`` to the start of
the next one's. A process per cell is what peers do: interpreter, imports, the cell with the same rounds, its row. Beside
(a) stands how busy an NVIDIA GPU says it was, in samples of nvidia-smi from ray.init to the last row.

(d) is ``pruned_grid.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from analysis.contract.pruners import PRUNERS
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import MeasureConfig

GRID = SweepConfig(
    workload="inference", device=("cpu",), batch_size=(1, 2, 3, 4, 6, 8), precision=("fp32", "bf16"),
    model=("efficientnet_lite0",), memory_format=("contiguous", "channels_last"),
    option_axes={"scenario": ("single-stream",)},
    measure=MeasureConfig(min_rounds=5, min_s=0.5, max_s=1.0, round_s=0.1, warmup_max_s=1.0),
)  # fmt: skip
ACCELERATOR_GRID = replace(GRID, batch_size=(1, 4, 16, 64, 128, 256))


class Watch:
    """Notes when each cell started and ended."""

    def __init__(self) -> None:
        self.ended: list[float] = []
        self.rows: list[dict[str, Any]] = []

    def cell_started(self, cell: TrialConfig) -> None: ...

    def cell_progressed(self, cell: TrialConfig, row: Any) -> None: ...

    def cell_ended(self, cell: TrialConfig, row: Any) -> None:
        self.ended.append(time.perf_counter())
        self.rows.append(dict(row))


def sweep(config: SweepConfig, folder: Path, watch: Watch) -> tuple[float, float, dict[str, Any]]:
    """Run a sweep through Ray: seconds of ray.init, seconds after it until the last row was durable, device facts."""
    import ray

    from sweeps.launch.ray_start import RayOptions, ray_here
    from sweeps.launch.tune_loop import launch
    from sweeps.scheduling.ledger import Ledger
    from sweeps.session.running import choose
    from sweeps.store.store import ResultStore

    began, started = time.perf_counter(), []
    original = ray.init

    def timed(*arguments: Any, **options: Any) -> Any:
        context = original(*arguments, **options)
        started.append(time.perf_counter())
        return context

    ray.init = timed
    try:
        cells = config.cells()
        store = ResultStore.create(folder, config, cells, ["benchmark"])
        ledger = Ledger(config, cells, store, choose(config, cells, store, []), watch)
        with ray_here(RayOptions()) as here:
            launch(config, ledger, RayOptions(), here, dict.fromkeys(config.device, 1))
    finally:
        ray.init = original
    return started[0] - began, watch.ended[-1] - started[0], next(iter(ledger.device_facts[config.device[0]].values()))


def _alone(cell: dict[str, Any], measure: dict[str, Any], facts: dict[str, Any], pipe: Any) -> None:
    from sweeps.cell.cell_run import CellRun

    run = CellRun(
        TrialConfig.from_dict(cell), MeasureConfig(**measure), n_threads=multiprocessing.cpu_count(), device_facts=facts
    )
    while not run.is_finished:
        run.advance()
    pipe.send(run.take_message().row)


def process_per_cell(
    config: SweepConfig, cells: list[TrialConfig], facts: dict[str, Any]
) -> tuple[float, list[dict[str, Any]]]:
    """The same cells, each in a fresh interpreter one after another; what is known of the device is given to them."""
    context, rows = multiprocessing.get_context("spawn"), []
    began = time.perf_counter()
    for cell in cells:
        here, there = context.Pipe(duplex=False)
        child = context.Process(target=_alone, args=(cell.as_dict(), asdict(config.measure), facts, there))
        child.start()
        rows.append(here.recv())
        child.join()
    return time.perf_counter() - began, rows


def total(rows: list[dict[str, Any]], *names: str) -> float:
    """The sum of some columns over rows, null as 0."""
    return float(sum(row.get(name) or 0.0 for row in rows for name in names))


def overheads(watch: Watch) -> np.ndarray:
    """Seconds between the end of a cell's row and the start of the next cell's work."""
    walls = np.array([row["wall_s"] for row in watch.rows])
    return np.diff(watch.ended) - walls[1:]


@contextlib.contextmanager
def utilisation() -> Iterator[list[float]]:
    """Samples of how busy the first NVIDIA GPU is, in per cent, five a second; none on other machines."""
    samples: list[float] = []
    if shutil.which("nvidia-smi") is None:
        yield samples
        return
    ask = ["nvidia-smi", "-i", "0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    with subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) as asking:
        yield samples
        asking.terminate()
        samples += [float(line) for line in asking.communicate()[0].split()]


def cost(device: str, n_processes: int) -> None:
    grid = replace(GRID if device == "cpu" else ACCELERATOR_GRID, device=(device,))
    with tempfile.TemporaryDirectory() as scratch:
        reused = Watch()
        with utilisation() as busy:
            init_s, wall_s, facts = sweep(grid, Path(scratch) / "reused", reused)
        rows = reused.rows
        timed = total(rows, "warmup_s", "measured_s")
        once = total(rows, "wall_s") - timed - total(rows, "setup_s")
        print(
            f"24-cell {device} inference grid, {rows[0]['device_name']}: ray.init {init_s:.1f} s, then {wall_s:.1f} s"
        )
        print(f"(a) share of the wall time after ray.init in which something was measured: {(timed + once) / wall_s:.1%}"
              f" (rounds {total(rows, 'measured_s') / wall_s:.1%}, warm-up {total(rows, 'warmup_s') / wall_s:.1%},"
              f" transfers, agreement, FLOPs and the device's ceilings {once / wall_s:.1%});"
              f" set-up {total(rows, 'setup_s') / wall_s:.1%}")  # fmt: skip
        if busy:
            print(f"    the GPU's own utilisation: mean {np.mean(busy):.0f} %, n = {len(busy)} samples; busy at all in"
                  f" {np.mean(np.array(busy) > 0):.0%} of them")  # fmt: skip
        walls = [row["wall_s"] for row in rows]
        print(f"    a cell's wall time: first {walls[0]:.2f} s, median of the others {np.median(walls[1:]):.2f} s,"
              f" longest {max(walls[1:]):.2f} s")  # fmt: skip
        between = overheads(reused)
        print(f"(b) overhead per reused trial: median {np.median(between):.3f} s, 90th percentile"
              f" {np.quantile(between, 0.9):.3f} s, n = {len(between)}")  # fmt: skip
        if not n_processes:
            return
        isolated = Watch()
        sweep(replace(grid, batch_size=(1,), isolate=True), Path(scratch) / "isolated", isolated)
        print(f"    isolated trial: median {np.median(overheads(isolated)):.3f} s, n = {len(isolated.rows) - 1}")
        cells = grid.cells()[:: max(1, 24 // n_processes)]
        alone_s, alone_rows = process_per_cell(grid, cells, facts)
        beside = alone_s - total(alone_rows, "measured_s", "warmup_s")
        print(f"(c) a process per cell: {alone_s / len(cells):.2f} s a cell (n = {len(cells)}) against"
              f" {wall_s / 24:.2f} s here, {alone_s / len(cells) / (wall_s / 24):.2f} times; beside warm-up and rounds"
              f" {beside / len(cells):.2f} s against {(wall_s - timed) / 24:.2f} s a cell")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="(a) to (c): where the grid runs")
    parser.add_argument(
        "--processes", type=int, default=6, help="cells measured in a process of their own; 0: (a) only"
    )
    parser.add_argument("--pruning", action="store_true", help="(d) instead of (a) to (c)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)), help="(d): which seeds")
    parser.add_argument(
        "--pruner", choices=[p for p in PRUNERS if p != "none"], default="successive-halving", help="(d): which pruner"
    )
    parser.add_argument("--default-allocator", action="store_true", help="(d): leave glibc's settings as they are")
    options = parser.parse_args()
    if options.pruning:
        from pruned_grid import pruning

        pruning(options.seeds, options.pruner, is_allocator_default=options.default_allocator)
    else:
        cost(options.device, options.processes)


if __name__ == "__main__":
    main()
