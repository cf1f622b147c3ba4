"""Ray's nodes: how to join them, what each has and what it says of itself."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.measure.device.host import cpu_name, versions
from sweeps.scheduling.nodes import CUSTOM, Cluster, Node, Pool, accelerator_type_of, devices_of
from workloads.base import BadInputError
from workloads.runtime.words import in_short

NODE_ID = "ray.io/node-id"
"""The label by which a trial is bound to nodes: unlike the resource node:IP it tells two nodes of one machine apart."""
ANSWER_S = 90.0
"""How long a node may take to say what it is: a first import of torch from a slow disk."""
CONNECT_S = 5.0
"""How long the head of a cluster may take to accept a connection."""
N_PINGS = 5


def join(address: str, options: Mapping[str, Any]) -> None:
    """Join the cluster at an address, by ``ray.init``; BadInputError if there is none, or it does not let us in."""
    if address.startswith("ray://"):
        raise BadInputError(f"--address: {address!r} is an address of Ray's client; run this on a node of the cluster,"
                            " with HOST:PORT or auto")  # fmt: skip
    _knock(address)
    try:
        with _quiet():
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
        ray.shutdown()
        why = in_short(str(error)) or type(error).__name__
        raise BadInputError(f"--address: cannot join a cluster at {address!r}; allowed: HOST:PORT of a Ray cluster "
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
    """BadInputError if nothing listens at an address, which Ray itself takes minutes to say, or it has no port."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        why = "it has no port" if isinstance(error, ValueError) else f"nothing answers there: {error}"
        raise BadInputError(
            f"--address: {address!r} is not a Ray cluster ({why}); allowed: HOST:PORT or auto"
        ) from error


class NodeProbe:
    """Says what a node is, from a process on it."""

    def describe(self, may_have_accelerator: bool) -> dict[str, Any]:
        """Processor, versions, and torch's name for its accelerator (torch is imported only where Ray counts one)."""
        accelerator = None
        if may_have_accelerator:
            from sweeps.measure.device.device import available_devices

            accelerator = next((name for name in available_devices() if name != "cpu"), None)
        return {"cpu_name": cpu_name(), "versions": versions(), "accelerator": accelerator}

    def clock(self) -> float:
        """The time of day by this node's clock, in seconds."""
        return time.time()


def _clock_offset_s(probe: Any) -> float:
    """A node's clock minus ours, from the ping that came back soonest; good to half of its way there and back."""
    pings: list[tuple[float, float]] = []
    for _ in range(N_PINGS):
        sent, began = time.time(), time.monotonic()
        there = ray.get(probe.clock.remote(), timeout=ANSWER_S)
        took = time.monotonic() - began
        pings.append((took, there - sent - took / 2))
    return min(pings)[1]


def _raw_nodes() -> list[dict[str, Any]]:
    """Ray's description of the nodes that are alive, the one this process is on first."""
    here = ray.get_runtime_context().get_node_id()
    alive = [node for node in ray.nodes() if node["Alive"]]
    return sorted(alive, key=lambda node: (node["NodeID"] != here, node["NodeManagerHostname"], node["NodeID"]))


def read_nodes() -> list[Node]:
    """The nodes of the cluster that this process has joined, each asked what it is; some cannot say it, and why."""
    raw = _raw_nodes()
    kind: Any = ray.remote(NodeProbe)
    probes, answers = [], []
    for node in raw:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        probes.append(kind.options(num_cpus=0, max_restarts=0, scheduling_strategy=place).remote())
        counted = {name for name in node["Resources"] if name == "GPU" or name.startswith(CUSTOM)}
        answers.append(probes[-1].describe.remote(bool(counted - {f"{CUSTOM}cpu"})))
    until = time.monotonic() + ANSWER_S
    nodes = []
    for node, probe, answer in zip(raw, probes, answers, strict=True):
        resources = dict(node["Resources"])
        common: dict[str, Any] = {
            "node_id": node["NodeID"], "host": node["NodeManagerHostname"], "ip": node["NodeManagerAddress"],
            "resources": resources, "accelerator_type": accelerator_type_of(resources, node.get("Labels") or {}),
        }  # fmt: skip
        try:
            told = ray.get(answer, timeout=max(1.0, until - time.monotonic()))
            nodes.append(Node(**common, devices=devices_of(resources, told["accelerator"]), cpu_name=told["cpu_name"],
                              versions=told["versions"], clock_offset_s=_clock_offset_s(probe)))  # fmt: skip
        except ray.exceptions.GetTimeoutError:
            nodes.append(Node(**common, problem=f"did not answer within {ANSWER_S:g} s"))
        except (ray.exceptions.RayError, ImportError, AttributeError) as error:
            *_, last = str(error).strip().splitlines() or [type(error).__name__]
            why = f"cannot import accelsweep ({in_short(last)}); install it there as on this machine"
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
