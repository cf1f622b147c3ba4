"""One process of a cell on several devices: the first measures, each other one follows it."""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import sys
import threading
import time
from multiprocessing.connection import Client, Connection, Listener
from typing import TYPE_CHECKING, Any

import ray

from sweeps.cell.message import Message, Place
from sweeps.cell.own_process import run_until_told
from sweeps.launch.leftovers import end_children
from sweeps.measure.device.host import default_threads
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.models.origins.own_code import give_sent
from workloads.runtime.group import Group
from workloads.runtime.late import late, wait_for_imports

if TYPE_CHECKING:
    from sweeps.cell.cell_run import CellRun
    from sweeps.cell.follower import Follower
    from sweeps.cell.outcome import Outcome
    from sweeps.cell.ranks import Ranks

dist = late("torch.distributed")
HOST = "127.0.0.1"
"""All processes of a cell are on one node."""
BEAT_S = 1.0


def place_here() -> Place:
    """The node that this process is on, and its device's number there as Ray has it."""
    context = ray.get_runtime_context()
    numbers = [number for mine in context.get_accelerator_ids().values() for number in mine]
    return Place(node_id=context.get_node_id(), device_index=",".join(numbers) or None)


class Rank:
    """An actor; ``team.py`` starts it and calls what it is to do, in this order.

    Args:
        rank: Its number among the processes.
        size: How many they are.
        port: Of the store of ``torch.distributed`` where they find each other.
        key: By which they know each other's connections.
    """

    def __init__(self, rank: int, size: int, port: int, key: bytes) -> None:
        wait_for_imports("sweeps.cell.cell_run", "sweeps.cell.follower")
        self._rank, self._size, self._port, self._key = rank, size, port, key
        self._links: list[Connection] = []
        self._listener: Listener | None = None
        self._is_frozen = False
        self._run: CellRun | None = None
        self._ranks: Ranks | None = None
        self._doing: Follower | None = None

    def pid(self) -> int:
        return os.getpid()

    def place(self) -> Place:
        return place_here()

    def listen(self) -> Any:
        """The first process: the address at which the others reach it."""
        # Linux has sockets without a file, whose name no temporary folder's can make too long.
        address = f"\0accelsweep-{secrets.token_hex(8)}" if sys.platform == "linux" else None
        self._listener = Listener(address, authkey=self._key)
        return self._listener.address

    def accept(self) -> None:
        """The first process: take the others' connections."""
        assert self._listener is not None
        found = {}
        for _ in range(1, self._size):
            link = self._listener.accept()
            found[link.recv()] = link
        self._listener.close()
        self._links = [found[rank] for rank in sorted(found)]
        self._begin_beating()

    def connect(self, address: Any) -> None:
        """Every other process: connect with the first."""
        link = Client(address, authkey=self._key)
        link.send(self._rank)
        self._links = [link]
        self._begin_beating()

    def _store(self) -> Any:
        return dist.TCPStore(HOST, self._port, is_master=False, wait_for_workers=False)

    def _begin_beating(self) -> None:
        """Say every second that this process runs, and how far it is."""
        store, mine = self._store(), f"beat {self._rank}"

        def beat() -> None:
            n = 0
            with contextlib.suppress(Exception):  # the store is gone, and so is whoever started this process
                while True:
                    store.set(mine, f"{n} {self._n_done()}")
                    n += 1
                    time.sleep(BEAT_S)

        threading.Thread(target=beat, daemon=True, name="accelsweep-beat").start()

    def _clear_away(self) -> None:
        """Leave nothing of the cell before; what libraries made at their import stays, and is not looked through."""
        gc.collect()
        if not self._is_frozen:
            gc.freeze()
            self._is_frozen = True

    def _n_done(self) -> int:
        doing = self._ranks or self._doing
        return 0 if doing is None else doing.n_done

    def _group(self, config: dict[str, Any]) -> Group:
        store = dist.PrefixStore(config["cell_name"], self._store())
        return Group(rank=self._rank, size=self._size, store=store, timeout_s=config["group_timeout_s"])

    def begin(self, config: dict[str, Any]) -> None:
        """The first process: take a cell."""
        from sweeps.cell.cell_run import CellRun
        from sweeps.cell.ranks import Ranks

        self._clear_away()
        give_sent(config["code"])
        measure, place = MeasureConfig(**config["measure"]), place_here()
        self._ranks = Ranks(self._group(config), self._links)
        self._run = CellRun(
            TrialConfig.from_dict(config["cell"]), measure,
            n_threads=measure.n_threads or default_threads(config["n_cpus"]),
            device_facts=config["device_facts"].get(place.key), place=place,
            ranks=self._ranks,
        )  # fmt: skip
        self._report_every_s = measure.report_every_s

    def advance(self) -> tuple[Message, bool]:
        """The first process: measure until there is something worth sending; and whether all is well with it."""
        assert self._run is not None
        run_until_told(self._run, self._report_every_s)
        message = self._run.take_message()
        if message.is_final:
            if self._run.ended_well and self._ranks is not None:
                self._ranks.group.leave()  # where it did not, another may wait for this one in a collective
            end_children()
        return message, self._run.ended_well

    def follow(self, config: dict[str, Any]) -> Outcome | None:
        """Every other process: follow the first through a cell; how that ended if not well."""
        from sweeps.cell.follower import Follower

        self._clear_away()
        give_sent(config["code"])
        measure = MeasureConfig(**config["measure"])
        self._doing = Follower(
            TrialConfig.from_dict(config["cell"]), measure=measure,
            n_threads=measure.n_threads or default_threads(config["n_cpus"]), group=self._group(config),
            link=self._links[0], place=place_here(),
        )  # fmt: skip
        outcome = self._doing.run()
        end_children()
        return outcome
