"""A pool of actors of any worker class: each gets the next job when it is done with one."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import ray

from sweeps.launch.lost_servers import RayWatch
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.nodes import CUSTOM

MAX_PROCESSES_PER_DEVICE = 8
"""Each holds the device's context, some half a GB on a GPU."""
Job = TypeVar("Job")


def _needs(device: str, n_processes: int, n_cpus: int) -> dict[str, Any]:
    """What one of ``n_processes`` actors takes: its share of the cores, and of the device."""
    total = ray.cluster_resources()
    needs: dict[str, Any] = {"num_cpus": max(1, n_cpus // n_processes) if device == "cpu" else 0}
    custom = f"{CUSTOM}{device}"
    if device != "cpu" and custom in total:
        needs["resources"] = {custom: min(1.0, total[custom] / n_processes)}
        if total.get("GPU", 0) >= total[custom]:
            needs["num_gpus"] = min(1.0, total["GPU"] / n_processes)
    return needs


class ActorPool(Generic[Job]):
    """``n_actors`` that ``make`` starts, for one device; ``watch`` tells whether one died with Ray itself."""

    def __init__(self, make: Callable[[], Any], n_actors: int, watch: RayWatch) -> None:
        self._make, self._watch = make, watch
        self._idle = [make() for _ in range(n_actors)]

    def results(
        self, jobs: Sequence[Job], submit: Callable[[Any, Job], Any], *, at_a_time: int | None = None
    ) -> Iterator[tuple[Job, Any]]:
        """Results as they come, at most ``at_a_time`` jobs beside each other; an actor that died gives its exception.

        ``submit`` gives an actor a job and returns Ray's reference to the result; a SweepLostError says that a process
        of Ray itself died.
        """
        left = deque(jobs)
        running: dict[Any, tuple[Any, Job]] = {}
        while left or running:
            while left and self._idle and (at_a_time is None or len(running) < at_a_time):
                actor, job = self._idle.pop(), left.popleft()
                running[submit(actor, job)] = (actor, job)
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
def actor_pool(
    worker: type, arguments: Sequence[Any], device: str, n_actors: int, n_cpus: int, watch: RayWatch
) -> Iterator[ActorPool[Any]]:  # fmt: skip
    """Actors of a class with a method ``close``, which share a device, and ``n_cpus`` on the CPU."""
    made = ray.remote(worker).options(max_restarts=0, **_needs(device, n_actors, n_cpus))
    pool: ActorPool[Any] = ActorPool(lambda: made.remote(*arguments), n_actors, watch)
    try:
        yield pool
    finally:
        if not watch.sees_loss():
            pool.close()


@contextlib.contextmanager
def interrupt_as_loss(watch: RayWatch) -> Iterator[None]:
    """An interrupt that the watch sent as what it means."""
    try:
        yield
    except KeyboardInterrupt:
        if watch.sees_loss():
            raise SweepLostError(watch.lost) from None
        raise
