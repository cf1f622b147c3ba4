"""Ray for operation coverage: actors that each own one child process, in parallel where nothing is timed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from sweeps.coverage.parent import CellWorker
from sweeps.coverage.plan import OperationCell, RunOptions
from sweeps.launch import RayOptions, ray_session
from sweeps.launch_watch import RayWatch
from sweeps.ledger import Interrupted, SweepLostError
from sweeps.leftovers import guarded
from sweeps.signals import terminable

Calls = Sequence[Any] | None
OnRows = Callable[[OperationCell, list[dict[str, Any]]], None]
OnTimes = Callable[[OperationCell, dict[str, Any]], None]
MAX_PROCESSES_PER_DEVICE = 8
"""Each holds the device's context, some half a GB on a GPU."""


@dataclass(frozen=True, kw_only=True)
class OperationJob:
    """A cell with what it needs.

    Attributes:
        cell: What to run.
        calls: Its recorded calls, where it is from the model zoo.
        n_threads: CPU threads to time it with.
    """

    cell: OperationCell
    calls: Calls = None
    n_threads: int = 1


@ray.remote
class OperationActor:
    """Runs cells in its own child process."""

    def __init__(self, environment: dict[str, str], options: RunOptions) -> None:
        self._worker = CellWorker(environment, options)

    def run(self, job: OperationJob) -> list[dict[str, Any]]:
        return self._worker.run(job.cell, job.calls)

    def time(self, job: OperationJob) -> dict[str, Any]:
        return self._worker.time(job.cell, job.calls, n_threads=job.n_threads)

    def close(self) -> None:
        self._worker.close()


def _needs(device: str, n_processes: int, n_cpus: int) -> dict[str, Any]:
    """What one of ``n_processes`` actors takes: its share of the cores, and of the device."""
    total = ray.cluster_resources()
    needs: dict[str, Any] = {"num_cpus": max(1, n_cpus // n_processes) if device == "cpu" else 0}
    custom = f"accelsweep_{device}"
    if device != "cpu" and custom in total:
        needs["resources"] = {custom: min(1.0, total[custom] / n_processes)}
        if total.get("GPU", 0) >= total[custom]:
            needs["num_gpus"] = min(1.0, total["GPU"] / n_processes)
    return needs


def _crashed(job: OperationJob, error: Exception) -> list[dict[str, Any]]:
    """The row of a cell whose actor itself was lost."""
    reason = f"the worker was lost: {str(error).splitlines()[0][:200]}"
    row = {"direction": "forward", "verdict": "crashed", "reason": reason}
    return [{"operation_key": job.cell.key, **job.cell.as_dict(), **row}]


class _Pool:
    """Actors for one device; each gets the next cell when it is done with one."""

    def __init__(self, make: Callable[[], Any], n_actors: int, watch: RayWatch) -> None:
        self._make, self._watch = make, watch
        self._idle = [make() for _ in range(n_actors)]

    def results(
        self, jobs: Sequence[OperationJob], method: str, *, at_a_time: int | None = None
    ) -> Iterator[tuple[OperationJob, Any]]:
        """Results as they come; an actor that died gives its exception and is replaced."""
        left = iter(jobs)
        running: dict[Any, tuple[Any, OperationJob]] = {}
        while True:
            while self._idle and (at_a_time is None or len(running) < at_a_time):
                job = next(left, None)
                if job is None:
                    break
                actor = self._idle.pop()
                running[getattr(actor, method).remote(job)] = (actor, job)
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            actor, job = running.pop(done[0])
            try:
                result: Any = ray.get(done[0])
            except ray.exceptions.RayError as error:
                if self._watch.sees_loss():
                    raise SweepLostError(self._watch.lost) from error
                result, actor = error, self._make()
            self._idle.append(actor)
            yield job, result

    def close(self) -> None:
        with contextlib.suppress(ray.exceptions.RayError, KeyboardInterrupt):
            ray.get([actor.close.remote() for actor in self._idle], timeout=20)
        for actor in self._idle:
            ray.kill(actor)


@contextlib.contextmanager
def _pool(
    device: str, n_actors: int, n_cpus: int, environment: Mapping[str, str], options: RunOptions, watch: RayWatch
) -> Iterator[_Pool]:  # fmt: skip
    actor: Any = OperationActor
    actor = actor.options(max_restarts=0, **_needs(device, n_actors, n_cpus))
    pool = _Pool(lambda: actor.remote(dict(environment), options), n_actors, watch)
    try:
        yield pool
    finally:
        if not watch.sees_loss():
            pool.close()


@contextlib.contextmanager
def _as_loss(watch: RayWatch) -> Iterator[None]:
    """An interrupt that the watch sent as what it means."""
    try:
        yield
    except KeyboardInterrupt:
        if watch.sees_loss():
            raise SweepLostError(watch.lost) from None
        raise


def _run_device(
    device: str, jobs: Sequence[OperationJob], timed: Callable[[str], Sequence[OperationJob]], pool: _Pool,
    n_cpus: int, on_rows: OnRows, on_times: OnTimes,
) -> None:  # fmt: skip
    """Run the cells of a device side by side, then time those that work one after the other, nothing beside them."""
    for job, result in pool.results(jobs, "run"):
        on_rows(job.cell, _crashed(job, result) if isinstance(result, Exception) else result)
    alone = [replace(job, n_threads=n_cpus) for job in timed(device)]
    for job, result in pool.results(alone, "time", at_a_time=1):
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
            RayWatch(marked, "every finished cell is kept") as watch, _as_loss(watch), watch.interrupting(),
        ):  # fmt: skip
            for device, mine in jobs.items():
                if not mine and not timed(device):
                    continue
                most = n_cpus if device == "cpu" else MAX_PROCESSES_PER_DEVICE * n_devices.get(device, 1)
                n_actors = max(1, min(most, n_cpus, len(mine)))
                with _pool(device, n_actors, n_cpus, environments[device], options, watch) as pool:
                    _run_device(device, mine, timed, pool, n_cpus, on_rows, on_times)
    except KeyboardInterrupt:
        raise Interrupted from None
