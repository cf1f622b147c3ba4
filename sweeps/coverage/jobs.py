"""Cells over a pool of workers that each own one child process, in parallel where nothing is timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sweeps.coverage.plan import OperationCell
from sweeps.coverage.progress import CoverageProgress
from sweeps.coverage.store import CoverageStore
from sweeps.coverage.worker import CellWorker
from sweeps.launch.actor_pool import MAX_PROCESSES_PER_DEVICE, actor_pool, interrupt_as_loss
from sweeps.launch.lost_servers import RayWatch
from sweeps.launch.ray_session import ray_session
from sweeps.launch.ray_start import RayOptions, RayStart, ray_here
from sweeps.measure.device.device import fallback_environment
from sweeps.measure.device.here import devices_here
from sweeps.measure.device.host import default_threads, usable_cpus
from sweeps.plan.parsing import parse_duration_s
from sweeps.scheduling.endings import Interrupted, terminable
from workloads.operations.base import DTYPES
from workloads.runtime.words import in_short

_TIMED_FIRST = ("modules", "transforms", "database")
TIMED_VERDICTS = ("supported", "fallback")


def _is_due(row: Mapping[str, Any]) -> bool:
    """Whether a row is of a forward call that works and has not been timed."""
    works = row["verdict"] in TIMED_VERDICTS or row["wrong_by"] == "rounding"
    return row["direction"] == "forward" and works and row["timing_elements"] is None and row["not_timed"] is None


def _to_time(store: CoverageStore, device: str) -> list[OperationCell]:
    """Cells of a device that are to be timed; first what models call, as timing may be cut short."""
    if not store.asked["timing"] or store.asked.get("predict", False):
        return []
    found = store.rows_by_cell()
    due = [cell for cell in store.cells if cell.device == device and any(map(_is_due, found.get(cell.key, ())))]
    return sorted(due, key=lambda cell: (_TIMED_FIRST.index(cell.source), list(DTYPES).index(cell.dtype)))


def _crashed(cell: OperationCell, error: Exception) -> list[dict[str, Any]]:
    """The row of a cell whose actor itself was lost."""
    reason = f"the worker was lost: {in_short(str(error))}"
    return [{**cell.columns, "direction": "forward", "verdict": "crashed", "reason": reason}]


def _worker_arguments(device: str, asked: Mapping[str, Any]) -> tuple[Any, ...]:
    environment = fallback_environment(device, allow=not asked["strict"])
    mode = ("strict" if asked["strict"] else "allowed") if environment else None
    timeout_s = parse_duration_s("operation-timeout", asked["operation_timeout"])
    return environment, asked["max_samples"], timeout_s, mode, asked.get("predict", False)


def run_cells(store: CoverageStore, left: Sequence[OperationCell], progress: CoverageProgress) -> None:
    """Run cells in parallel, device after device, and time those of each that work one by one, nothing beside them.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP; everything finished was handed on.
        SweepLostError: A process of Ray died; everything finished was handed on.
    """
    n_cpus, recording = store.asked["processes"] or usable_cpus(), store.recording()
    n_threads = default_threads(usable_cpus())
    predicts, here = store.asked.get("predict", False), devices_here()
    devices = {name: 1 if predicts else here.get(name, 0) for name in sorted({cell.device for cell in store.cells})}
    if not left and not any(_to_time(store, device) for device in devices):
        return  # Ray takes seconds to start

    def calls(cell: OperationCell) -> Any:
        return recording.get(cell.operation) if cell.source == "modules" else None

    try:
        with (
            terminable(), ray_here(RayOptions()) as started, ray_session(cast("RayStart", started.start)),
            RayWatch(started.marked, "every finished cell is kept") as watch,
            interrupt_as_loss(watch), watch.interrupting(),
        ):  # fmt: skip
            for device, n in devices.items():
                mine = [cell for cell in left if cell.device == device]
                if not mine and not _to_time(store, device):
                    continue
                place = "cpu" if predicts else device
                most = n_cpus if place == "cpu" else MAX_PROCESSES_PER_DEVICE * n
                n_actors = max(1, min(most, n_cpus, len(mine)))
                made_with = _worker_arguments(device, store.asked)
                with actor_pool(CellWorker, made_with, place, n_actors, n_cpus, watch) as pool:
                    for cell, rows in pool.results(mine, lambda worker, cell: worker.run.remote(cell, calls(cell))):
                        progress.rows(cell, _crashed(cell, rows) if isinstance(rows, Exception) else rows)
                    progress.expect(len(alone := _to_time(store, device)))
                    for cell, columns in pool.results(
                        alone,
                        lambda worker, cell: worker.time.remote(cell, calls(cell), n_threads=n_threads),
                        at_a_time=1,
                    ):
                        is_lost = isinstance(columns, Exception)
                        progress.times(cell, {"not_timed": "the worker was lost"} if is_lost else columns)
    except KeyboardInterrupt:
        raise Interrupted from None
