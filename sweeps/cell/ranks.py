"""The processes of a cell on several devices, as the first one, which is measured, drives the others.

What the first process calls of the workload the others are told to call as well: a word through a pipe, some 20
microseconds of a step. ``follower.py`` is the other end.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar

from sweeps.measure.device.device import synchronize
from sweeps.measure.device.links import link_between
from sweeps.measure.monitors.conditions import ConditionMonitor
from sweeps.measure.monitors.energy_sources import EnergySource, open_energy_source
from sweeps.measure.timing.clock import Timer
from workloads.base import Extras, Workload
from workloads.runtime.group import Group
from workloads.scenarios import Sending

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class RankLostError(Exception):
    """A process of the cell no longer answers; which one and why is known to whoever started it."""


class Ranks:
    """The other processes of a cell; by default there are none, and nothing is asked of anyone.

    Args:
        group: All processes of the cell, of which this is the first.
        links: A connection to each of the others, by rank.

    Attributes:
        n_done: Words that they were told.
    """

    def __init__(self, group: Group | None = None, links: Sequence[Connection] = ()) -> None:
        self.group = group or Group()
        self._links = links
        self._others: list[Mapping[str, Any]] = []
        self._boards: list[str | None] = []
        self._is_inside = self._has_ended = False
        self.n_done = 0

    def open(self, batch_size: int, mine: Mapping[str, Any]) -> dict[str, Any]:
        """Have the others open their devices; columns that tell of all devices of the cell.

        Args:
            batch_size: Of each.
            mine: What ``follower.facts_of`` tells of this process.
        """
        self._others = self._ask("open")
        self._boards = [other["uuid"] for other in self._others]
        told = [mine, *self._others]
        columns: dict[str, Any] = {"global_batch_size": batch_size * self.group.size}
        if self._links:
            indices = [one["device_index"] for one in told if one["device_index"] is not None]
            columns["device_index"] = ",".join(indices) or None
            columns["idle_power_w"] = None  # which was measured of one of them
            columns["device_link"] = link_between([one["uuid"] for one in told])
        return columns

    def lead(self, workload: Workload) -> Workload:
        """The workload, of which the others call what they are to call together with this process."""
        self._own_step = workload.step
        for name in ("setup", *Extras.of(workload).together) if self._links else ():
            if hasattr(workload, name):
                setattr(workload, name, functools.partial(self._together, name, getattr(workload, name)))
        return workload

    def timer(self, device: torch.device, workload: Workload) -> Timer:
        """The device's timer; where nothing else ties the processes' steps to each other, it waits for all of them."""
        is_tied = workload.steps_per_round is not None or Extras.of(workload).sending.scenario.is_served
        if not self._links or is_tied:
            return Timer(device)

        def wait() -> None:
            synchronize(device)
            self._ask("wait")

        return Timer(device, wait)

    def conditions(self, device: torch.device) -> ConditionMonitor:
        """What follows the conditions of all processes and boards."""
        return ConditionMonitor(device, [other["pid"] for other in self._others], self._boards)

    def energy_source(self, device: torch.device) -> EnergySource:
        """The counter that covers the devices of all processes."""
        return open_energy_source(device, self._boards)

    def memory(self, mine: dict[str, Any]) -> dict[str, Any]:
        """The columns of the memory monitor of the process in which each is largest."""
        found = [mine, *self._ask("memory")]
        return {name: max((one[name] for one in found if one[name] is not None), default=None) for name in mine}

    def own(self, step: Callable[[], object]) -> Callable[[], object]:
        """A step of this process alone."""
        return self._own_step if self._links else step

    def shared(self, sending: Sending) -> Sending:
        """How requests are sent to the replicas of all processes."""
        ranks = range(1, len(self._links) + 1)
        return replace(sending, others=tuple(functools.partial(self._asked, rank, "serve") for rank in ranks))

    def end(self) -> None:
        """Let the others go; safe whatever has become of them."""
        for link in () if self._has_ended else self._links:
            with contextlib.suppress(OSError):
                link.send(("end", ()))
        self._has_ended = True

    def _together(self, name: str, mine: Callable[..., T], *arguments: object) -> T:
        if self._is_inside:  # what the others are in as well calls it there
            return mine(*arguments)
        with self._inside():
            self._tell(name, *arguments)
            return mine(*arguments)

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False

    def _tell(self, name: str, *arguments: object) -> None:
        for rank, link in enumerate(self._links, start=1):
            with self._heard(rank):
                link.send((name, arguments))
        self.n_done += 1

    def _ask(self, name: str) -> list[Any]:
        self._tell(name)
        return [self._answer(rank) for rank in range(1, len(self._links) + 1)]

    def _asked(self, rank: int, name: str) -> Any:
        with self._heard(rank):
            self._links[rank - 1].send((name, ()))
        return self._answer(rank)

    def _answer(self, rank: int) -> Any:
        with self._heard(rank):
            return self._links[rank - 1].recv()

    @contextlib.contextmanager
    def _heard(self, rank: int) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError) as error:
            raise RankLostError(f"process {rank} of {self.group.size} does not answer") from error
