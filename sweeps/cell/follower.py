"""Every process but the first of a cell on several devices: does what the first one says, on its own device."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from sweeps.cell.context import context_of
from sweeps.cell.message import Place
from sweeps.cell.outcome import Outcome, outcome_of
from sweeps.measure.compile_caches import compiled_apart
from sweeps.measure.device.device import device_uuid, open_device, set_threads, synchronize
from sweeps.measure.device.fresh import reset_device_state
from sweeps.measure.monitors.memory import MemoryMonitor
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.base import Extras, Workload
from workloads.precision import apply_precision
from workloads.runtime.group import Group

if TYPE_CHECKING:
    import torch


def facts_of(device: torch.device, place: Place) -> dict[str, Any]:
    """What the first process is to know of a process and its device."""
    return {"pid": os.getpid(), "uuid": device_uuid(device), "device_index": place.device_index}


class Follower:
    """One process's part of a cell.

    Args:
        cell: What to run.
        measure: How to measure it.
        n_threads: CPU threads, where the cell itself does not say.
        group: The processes, and which of them this is.
        link: The first process's end.
        place: The node and the device's number there.

    Attributes:
        n_done: Words of the first process to all that were heeded.
    """

    def __init__(
        self, cell: TrialConfig, *, measure: MeasureConfig, n_threads: int, group: Group, link: Connection, place: Place
    ) -> None:
        self._cell, self._measure, self._group, self._link, self._place = cell, measure, group, link, place
        self._n_threads = cell.threads or n_threads
        self._workload: Workload | None = None
        self._monitors = ExitStack()
        self._own: dict[str, Callable[[], Any]] = {
            "open": self._open, "wait": self._wait, "serve": self._serve,
            "memory": lambda: self._memory.columns(),  # noqa: PLW0108 (its monitor comes with "open")
        }  # fmt: skip
        self.n_done = 0

    def run(self) -> Outcome | None:
        """Follow until the first process lets go; how it ended otherwise."""
        try:
            while True:
                name, arguments = self._link.recv()
                if name == "end":
                    self._close()
                    self._group.leave()
                    return None
                if name in self._own:
                    self._link.send(self._own[name]())
                elif name == "setup":
                    self._set_up()
                else:
                    getattr(self._workload, name)(*arguments)
                self.n_done += name != "serve"  # a request, which the first one sends to one process alone
        except (EOFError, ConnectionError):
            return None  # the first process is gone, which is told of it
        except Exception as error:
            return outcome_of(error)
        finally:
            self._close()

    def _open(self) -> dict[str, Any]:
        set_threads(self._n_threads)
        self._device = open_device(self._cell.device, self._group.rank)
        apply_precision(self._cell.precision)
        reset_device_state(self._device, self._cell.seed)
        self._memory = self._monitors.enter_context(MemoryMonitor(self._device))
        return facts_of(self._device, self._place)

    def _set_up(self) -> None:
        kind, context = context_of(self._cell, self._device, self._measure, self._group)
        self._workload = kind(context)
        if Extras.of(self._workload).is_compiled:
            self._monitors.enter_context(compiled_apart(self._device, lambda _: None))
        self._workload.setup()
        synchronize(self._device)

    def _wait(self) -> bool:
        synchronize(self._device)
        return True

    def _serve(self) -> bool:
        assert self._workload is not None
        self._workload.step()
        return self._wait()

    def _close(self) -> None:
        self._monitors.close()
        workload, self._workload = self._workload, None
        if workload is not None:
            workload.teardown()
            synchronize(self._device)
