"""Ray's nodes: what each has, what it says of itself, which were lost, and what trials wait for."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.tune import Callback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.ledger import Ledger
from sweeps.measure.host import cpu_name, versions
from sweeps.nodes import CUSTOM, Cluster, Node, Pool, accelerator_type_of, devices_of
from sweeps.placement import Placement
from workloads.base import BadInputError

NODE_ID = "ray.io/node-id"
"""The label by which a trial is bound to nodes: unlike the resource node:IP it tells two nodes of one machine apart."""
ANSWER_S = 90.0
"""How long a node may take to say what it is: a first import of torch from a slow disk."""
CONNECT_S = 5.0
"""How long the head of a cluster may take to accept a connection."""
N_PINGS = 5
LOOK_S = 2.0
"""How often the nodes are looked at."""
SAY_S = 15.0
"""A trial that no node took for this long is told of; starting a worker takes less."""
GRACE_S = 60.0
"""Ray takes some 15 s to count a node as dead whose workers cannot be reached any more."""
_UNREACHED = "is unavailable"
_DEAD_NODE = re.compile(r"node has died.*?([0-9a-f]{56})", re.DOTALL)


def join(address: str, options: Mapping[str, Any]) -> None:
    """Join a cluster that runs.

    Args:
        address: As on the command line.
        options: Further arguments of ``ray.init``.

    Raises:
        BadInputError: If there is none, or it does not let us in.
    """
    if address.startswith("ray://"):
        raise BadInputError(f"--address: {address!r} is for Ray's client; run this on a node of the cluster, with"
                            " HOST:PORT or auto")  # fmt: skip
    _knock(address)
    try:
        with _quiet():
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
        ray.shutdown()
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise BadInputError(f"--address: no cluster can be joined at {address!r}; allowed: HOST:PORT of a Ray cluster "
                            "that this machine is a node of, or auto; one with token authentication needs "
                            f"RAY_AUTH_MODE=token and its token here ({why})") from error  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Standard error to nowhere: Ray's core warns there each second that it is not let in; the error says it once."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _knock(address: str) -> None:
    """See whether anything listens at an address, which Ray itself takes minutes to give up.

    Raises:
        BadInputError: If nothing does, or the address has no port.
    """
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        why = "it has no port" if isinstance(error, ValueError) else f"nothing answers there: {error}"
        raise BadInputError(f"--address: {address!r} is no Ray cluster ({why}); allowed: HOST:PORT or auto") from error


class NodeProbe:
    """Says what a node is, from a process on it."""

    def describe(self, may_have_accelerator: bool) -> dict[str, Any]:
        """Processor, versions, and torch's name for its accelerator (torch is imported only where Ray counts one)."""
        accelerator = None
        if may_have_accelerator:
            from sweeps.measure.device import available_devices

            accelerator = next((name for name in available_devices() if name != "cpu"), None)
        return {"cpu_name": cpu_name(), "versions": versions(), "accelerator": accelerator}

    def clock(self) -> float:
        """The time of day by this node's clock, in seconds."""
        return time.time()


def _clock_offset_s(probe: Any) -> float:
    """A node's clock minus ours, from the ping that came back soonest; good to half of its way there and back."""
    best = (float("inf"), 0.0)
    for _ in range(N_PINGS):
        sent, began = time.time(), time.monotonic()
        there = ray.get(probe.clock.remote(), timeout=ANSWER_S)
        took = time.monotonic() - began
        best = min(best, (took, there - sent - took / 2))
    return best[1]


def _raw_nodes() -> list[dict[str, Any]]:
    """Ray's description of the nodes that are alive, the one this process is on first."""
    here = ray.get_runtime_context().get_node_id()
    alive = [node for node in ray.nodes() if node["Alive"]]
    return sorted(alive, key=lambda node: (node["NodeID"] != here, node["NodeManagerHostname"], node["NodeID"]))


def _why(error: Exception) -> str:
    """An exception's last line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]


def read_nodes() -> list[Node]:
    """The nodes of the cluster that this process has joined, each asked what it is; some cannot say it, and why."""
    raw = _raw_nodes()
    kind: Any = ray.remote(NodeProbe)
    probes = []
    for node in raw:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        probes.append(kind.options(num_cpus=0, max_restarts=0, scheduling_strategy=place).remote())
    counted = [dict(node["Resources"]) for node in raw]
    has_accelerator = [any(n == "GPU" or n.startswith(CUSTOM) for n in resources) for resources in counted]
    answers = [probe.describe.remote(may) for probe, may in zip(probes, has_accelerator, strict=True)]
    until = time.monotonic() + ANSWER_S
    nodes = []
    for node, probe, answer, resources in zip(raw, probes, answers, counted, strict=True):
        labels: Mapping[str, str] = node.get("Labels") or {}
        common: dict[str, Any] = {
            "node_id": node["NodeID"], "host": node["NodeManagerHostname"], "ip": node["NodeManagerAddress"],
            "resources": resources, "accelerator_type": accelerator_type_of(resources, labels),
        }  # fmt: skip
        try:
            told = ray.get(answer, timeout=max(1.0, until - time.monotonic()))
            nodes.append(Node(**common, devices=devices_of(resources, told["accelerator"]), cpu_name=told["cpu_name"],
                              versions=told["versions"], clock_offset_s=_clock_offset_s(probe)))  # fmt: skip
        except ray.exceptions.GetTimeoutError:
            nodes.append(Node(**common, problem=f"did not answer within {ANSWER_S:g} s"))
        except (ray.exceptions.RayError, ImportError, AttributeError) as error:
            why = f"cannot import accelsweep ({_why(error)}); install it there as on this machine"
            nodes.append(Node(**common, problem=why))
    for probe in probes:
        ray.kill(probe)
    return nodes


def local_cluster(devices: Mapping[str, int]) -> Cluster:
    """The one node that this process has started, with the devices that it was told of."""
    node = _raw_nodes()[0]
    return Cluster([Node(node_id=node["NodeID"], resources=dict(node["Resources"]), devices=dict(devices))])


def label_selector(pool: Pool) -> dict[str, str]:
    """Ray's label selector for the nodes of a pool."""
    return {NODE_ID: pool.node_ids[0] if len(pool.node_ids) == 1 else f"in({', '.join(pool.node_ids)})"}


class NodeWatch(Callback):
    """Notices nodes that are lost, gives their cells to others, and says what trials wait for.

    Args:
        placement: Which trial was given to which nodes.
        ledger: The books.
        say: Prints a line.
        timeout_s: A cell that no node takes for so long ends as timed out.

    Attributes:
        controller: Tune's, set by the scheduler; needed to take back a trial that waits.
    """

    def __init__(self, placement: Placement, ledger: Ledger, say: Callable[[str], None], timeout_s: float) -> None:
        self._placement, self._ledger, self._say, self._timeout_s = placement, ledger, say, timeout_s
        self.controller: Any = None
        self._looked = self._told = time.monotonic()
        self._since: dict[str, float] = {}
        self._doubted: dict[str, tuple[float, str]] = {}
        """When a trial's worker could not be reached, and what Ray said; whether its node died shows later."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the ledger: Tune copies its callbacks into an experiment state that is never read."""
        return {}

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        self._judge()
        waiting = [trial_id for trial_id in self._ledger.waiting() if trial_id not in self._doubted]
        running = [trial_id for trial_id in self._ledger.running if trial_id not in waiting]
        self._since = {trial_id: self._since.get(trial_id, now) for trial_id in waiting}
        for trial_id in waiting:
            pool = self._placement.pool_of(trial_id)
            if pool is None:
                continue
            if not self._placement.is_left(pool):
                self._ledger.requeue(trial_id)
                self._take_back(trial_id, trials)
            elif self._placement.is_ours(pool, running):
                self._since[trial_id] = now  # it waits for a cell of this sweep
            elif now - self._since[trial_id] > self._timeout_s:
                told = f"no node took it within --node-timeout {self._timeout_s:g} s; {self._state(pool)}"
                self._ledger.give_up(trial_id, "timeout", told)
                self._take_back(trial_id, trials)
            elif now - max(self._since[trial_id], self._told) > SAY_S and not self._is_starting(trial_id, trials):
                self._told = now
                self._say(f"waiting for {_needed(pool)}: {self._state(pool)}")

    def look(self) -> None:
        """Take out the nodes that are dead."""
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        for node_id in [n for n in self._placement.cluster.nodes if n not in alive]:
            node = self._placement.lose(node_id)
            if node is not None:
                left = sum(bool(other.devices) for other in self._placement.cluster.nodes.values())
                self._say(f"node {node.name} was lost; {left} {'node is' if left == 1 else 'nodes are'} left")

    def failed(self, trial_id: str, error: str) -> bool:
        """Take a trial whose worker died; False if that is its outcome, True if its node died or may have."""
        self.look()
        if self._requeue_if_lost(trial_id, error):
            return True
        if _UNREACHED in error:
            self._doubted[trial_id] = (time.monotonic(), error)
            return True
        return False

    def judge(self) -> None:
        """Decide on trials whose workers could not be reached; where none runs, Tune takes no step and only asks."""
        if self._doubted and time.monotonic() - self._looked >= LOOK_S:
            self._looked = time.monotonic()
            self._judge()

    def _judge(self) -> None:
        self.look()
        for trial_id, (since, error) in list(self._doubted.items()):
            if self._requeue_if_lost(trial_id, error):
                del self._doubted[trial_id]
            elif time.monotonic() - since > GRACE_S:
                del self._doubted[trial_id]
                self._ledger.close(trial_id, error=error)

    def _requeue_if_lost(self, trial_id: str, error: str) -> bool:
        """Whether a trial's node was lost; its cell is then handed out again, or recorded if it is the second time."""
        found = _DEAD_NODE.search(error)
        node_id, pool = found[1] if found else self._ledger.node_of(trial_id), self._placement.pool_of(trial_id)
        # Before a worker's first message it may be on any node of its pool, and one of them died as it did.
        there = [node_id] if node_id is not None else list(pool.node_ids) if pool is not None else []
        if not any(node.node_id in there for node in self._placement.lost):
            return False
        if not self._ledger.requeue(trial_id, is_lost=True):
            self._ledger.close(trial_id, error=error, reason="its node was lost, for the second time")
        return True

    def _is_starting(self, trial_id: str, trials: Sequence[Any]) -> bool:
        """Whether a trial has its resources, and only its worker is not up yet."""
        manager = self.controller._actor_manager
        actors = [self.controller._trial_to_actor.get(trial) for trial in trials if trial.trial_id == trial_id]
        return any(actor in manager._live_actors_to_ray_actors_resources for actor in actors)

    def _take_back(self, trial_id: str, trials: Sequence[Any]) -> None:
        for trial in trials:
            if trial.trial_id == trial_id and self.controller is not None:
                self.controller.stop_trial(trial)  # what request_stop_trial notes is never looked at (Ray 2.60)

    def _state(self, pool: Pool) -> str:
        """What is free on a pool's nodes."""
        free = ray._private.state.available_resources_per_node()
        told = []
        for node_id in pool.node_ids:
            node = self._placement.cluster.nodes.get(node_id)
            if node is not None:
                has = ", ".join(f"{free.get(node_id, {}).get(name, 0):g} of {node.resources.get(name, 0):g} {name}"
                                for name, _ in pool.needs)  # fmt: skip
                told.append(f"{node.name} has {has} free")
        return "; ".join(told)


def _needed(pool: Pool) -> str:
    return " and ".join(f"{n:g} {name}" for name, n in pool.needs)
