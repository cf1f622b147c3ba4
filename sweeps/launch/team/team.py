"""The processes of cells on several devices: started in the trial's placement group, watched, and ended for sure.

They are Ray's actors, and not the worker group of Ray Train: that one is private, begins anew for every training, and
says of a process that died or hangs neither which it was nor on which board; and replicas of inference train nothing.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from sweeps.launch.team.rank import HOST, Rank
from workloads.runtime.late import late

dist = late("torch.distributed")
START_S = 180.0
"""How long the processes may take to import torch, side by side, and to find each other."""
END_S = 3.0


class RankFellError(Exception):
    """A process died or did not start; the message says which."""


def _options(bundle: Mapping[str, float], index: int) -> dict[str, Any]:
    """Ray's options of the actor that has the bundle of this number in the trial's placement group."""
    others = {name: n for name, n in bundle.items() if name not in ("CPU", "GPU")}
    return {
        "num_cpus": bundle.get("CPU", 0), "num_gpus": bundle.get("GPU", 0), "resources": others, "max_restarts": 0,
        "scheduling_strategy": PlacementGroupSchedulingStrategy(
            ray.util.get_current_placement_group(), placement_group_bundle_index=index
        ),
    }  # fmt: skip


class Team:
    """So many processes, each with a bundle of the placement group of the trial that this is called in.

    Attributes:
        actors: Them, by rank.
        names: What they are called in a row, with the number of the board of each where it has one.
    """

    def __init__(self, bundles: Sequence[Mapping[str, float]]) -> None:
        self.size = len(bundles)
        self._store = dist.TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
        self.names = [f"rank {rank} of {self.size}" for rank in range(self.size)]
        key, made = secrets.token_bytes(16), ray.remote(Rank)
        self.actors: list[Any] = [
            made.options(**_options(bundle, rank)).remote(rank, self.size, self._store.port, key)
            for rank, bundle in enumerate(bundles)
        ]
        self._processes: list[psutil.Process] = []
        self._beats: dict[int, tuple[bytes, float]] = {}
        self.n_cells = 0
        try:
            self._connect()
        except Exception:
            self.end()
            raise

    def _connect(self) -> None:
        until = time.monotonic() + START_S
        pids = self._all([actor.pid.remote() for actor in self.actors], until)
        self._processes = [psutil.Process(pid) for pid in pids]
        places = self._all([actor.place.remote() for actor in self.actors], until)
        self.names = [
            name if place.device_index is None else f"{name} (board {place.device_index})"
            for name, place in zip(self.names, places, strict=True)
        ]
        (address,) = self._all([self.actors[0].listen.remote()], until)
        self._all([self.actors[0].accept.remote(), *(a.connect.remote(address) for a in self.actors[1:])], until)

    def _all(self, references: Sequence[Any], until: float) -> list[Any]:
        try:
            return list(ray.get(list(references), timeout=max(1.0, until - time.monotonic())))
        except ray.exceptions.GetTimeoutError as error:
            raise RankFellError(f"the processes of the cell did not start within {START_S:g} s") from error
        except ray.exceptions.RayError as error:
            raise RankFellError(f"a process of the cell did not start: {error}") from error

    def silent(self, seconds: float) -> str | None:
        """The name of a process that has not said for so long that it runs; None while all do."""
        now = time.monotonic()
        for rank in range(self.size):
            said = self._said(rank)
            before, since = self._beats.get(rank, (b"", now))
            self._beats[rank] = (said, since if said == before else now)
            if now - self._beats[rank][1] > seconds:
                return self.names[rank]
        return None

    def begin_watching(self) -> None:
        """Count silence from now on."""
        self._beats.clear()

    def behind(self) -> str | None:
        """The name of the process that has heeded fewer words of the first one than others; None if they are even."""
        done = [int((self._said(rank) or b"0 0").split()[1]) for rank in range(1, self.size)]
        led = int((self._said(0) or b"0 0").split()[1])
        slowest = min(range(len(done)), key=done.__getitem__)
        return self.names[1 + slowest] if done[slowest] < led - 1 or len(set(done)) > 1 else None

    def _said(self, rank: int) -> bytes:
        name = f"beat {rank}"
        return bytes(self._store.get(name)) if self._store.check([name]) else b""

    def end(self) -> None:
        """End all processes and what they started, also those that are stopped or stuck; safe to call twice."""
        left = []
        for process in self._processes:  # first: what a process started is not found by it once it is gone
            with contextlib.suppress(psutil.Error):
                left += [process, *process.children(recursive=True)]
        for actor in self.actors:
            with contextlib.suppress(Exception):
                ray.kill(actor)
        _, alive = psutil.wait_procs(left, timeout=END_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=END_S)
        self.actors, self._processes = [], []
