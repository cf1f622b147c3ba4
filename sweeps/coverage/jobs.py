"""Cells over a pool of workers that each own one child process, in parallel where nothing is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.coverage.plan import OperationCell, RunOptions
from sweeps.coverage.worker import CellWorker
from sweeps.launch.actor_pool import MAX_PROCESSES_PER_DEVICE, ActorPool, actor_pool, interrupt_as_loss
from sweeps.launch.leftovers import guarded
from sweeps.launch.lost_servers import RayWatch
from sweeps.launch.ray_session import RayOptions, ray_session
from sweeps.scheduling.endings import Interrupted, terminable

Calls = Sequence[Any] | None
OnRows = Callable[[OperationCell, list[dict[str, Any]]], None]
OnTimes = Callable[[OperationCell, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class OperationJob:
    """A cell with what it needs.

    Attributes:
        cell: What to run.
        calls: Its recorded calls, where it is from the model zoo.
    """

    cell: OperationCell
    calls: Calls = None


def _crashed(job: OperationJob, error: Exception) -> list[dict[str, Any]]:
    """The row of a cell whose actor itself was lost."""
    reason = f"the worker was lost: {str(error).splitlines()[0][:200]}"
    row = {"direction": "forward", "verdict": "crashed", "reason": reason}
    return [{"operation_key": job.cell.key, **job.cell.as_dict(), **row}]


def _run_device(
    device: str, jobs: Sequence[OperationJob], timed: Callable[[str], Sequence[OperationJob]],
    pool: ActorPool[OperationJob],
    n_cpus: int, on_rows: OnRows, on_times: OnTimes,
) -> None:  # fmt: skip
    """Run the cells of a device side by side, then time those that work one after the other, nothing beside them."""
    for job, result in pool.results(jobs, lambda worker, job: worker.run.remote(job.cell, job.calls)):
        on_rows(job.cell, _crashed(job, result) if isinstance(result, Exception) else result)
    alone = timed(device)
    run_alone = pool.results(
        alone, lambda worker, job: worker.time.remote(job.cell, job.calls, n_threads=n_cpus), at_a_time=1
    )
    for job, result in run_alone:
        on_times(job.cell, {"not_timed": "the worker was lost"} if isinstance(result, Exception) else result)


def run_jobs(
    jobs: Mapping[str, Sequence[OperationJob]],
    timed: Callable[[str], Sequence[OperationJob]],
    *,
    environments: Mapping[str, Mapping[str, str]],
    options: RunOptions,
    n_cpus: int,
    n_devices: Mapping[str, int],
    on_rows: OnRows,
    on_times: OnTimes,
) -> None:
    """Run cells in parallel, device after device, and time those of each device that ``timed`` names.

    Args:
        jobs: Cells to run by device; a device without any may still have cells to time.
        timed: Called with a device after its cells ran; cells to time.
        environments: Variables of the child processes, by device.
        options: How to run.
        n_cpus: Processors to use.
        n_devices: How many of each device there are.
        on_rows: Called with the rows of each cell; they must be durable when it returns.
        on_times: Called with the timing columns of each cell.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP; everything finished was handed on.
        SweepLostError: A process of Ray died; everything finished was handed on.
    """
    try:
        with (
            terminable(), guarded() as marked, ray_session(RayOptions(), dict(n_devices)),
            RayWatch(marked, "every finished cell is kept") as watch, interrupt_as_loss(watch), watch.interrupting(),
        ):  # fmt: skip
            for device, mine in jobs.items():
                if not mine and not timed(device):
                    continue
                most = n_cpus if device == "cpu" else MAX_PROCESSES_PER_DEVICE * n_devices.get(device, 1)
                n_actors = max(1, min(most, n_cpus, len(mine)))
                made_with = dict(environments[device]), options
                with actor_pool(CellWorker, made_with, device, n_actors, n_cpus, watch) as pool:
                    _run_device(device, mine, timed, pool, n_cpus, on_rows, on_times)
    except KeyboardInterrupt:
        raise Interrupted from None
