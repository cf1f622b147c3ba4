"""The nodes of a cluster, free of Ray: which devices and kinds there are, and which nodes can take a cell.

A trial owns its device: a CPU trial every core of its node, an accelerator trial one accelerator and its share of the
cores. Nodes whose trials take the same of them are one pool, and Ray chooses a free one among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workloads.base import BadInputError

CUSTOM = "accelsweep_"
"""Prefix of the resource that says how many devices of a type a node has, such as ``accelsweep_mps: 1``."""
_TYPE = "accelerator_type:"
ID_LENGTH = 8
"""Hex digits of a node's name by which people call it."""
CLOCK_S = 0.1
"""Clocks that differ by less are called equal: what is written with them is when a cell began."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as Ray describes it, and what it said of itself."""

    node_id: str
    """Ray's name of it, in hex."""
    host: str = ""
    ip: str = ""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What Ray counts there, such as CPU, GPU and custom resources."""
    devices: Mapping[str, int] = field(default_factory=dict)
    """How many of each type it has, ``cpu`` included where it gives CPUs to trials."""
    accelerator_type: str | None = None
    """As Ray names it, such as ``H100``; None where there is none or it is not known."""
    cpu_name: str = ""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    clock_offset_s: float | None = None
    """Its clock minus the driver's; None if it was not compared."""
    problem: str | None = None
    """Why nothing can be measured on it; None if it can."""

    @property
    def name(self) -> str:
        """What people call it: the beginning of its id, and its host."""
        return f"{self.node_id[:ID_LENGTH]} ({self.host or self.ip})"

    @property
    def n_cpus(self) -> int:
        """CPUs that it gives to trials."""
        return int(self.resources.get("CPU", 0))

    def kind(self, device: str) -> str:
        """What kind of node it is for a device: its accelerator's type, or its processor and a trial's CPUs."""
        if device == "cpu":
            n = self.n_cpus // self.devices.get("cpu", 1)
            return f"{self.cpu_name} ({n} {'CPU' if n == 1 else 'CPUs'})"
        return self.accelerator_type or device

    def needs(self, device: str) -> dict[str, float]:
        """The resources that a trial on the device takes of this node."""
        n, custom = self.devices[device], f"{CUSTOM}{device}"
        needs: dict[str, float] = {"CPU": max(1, self.n_cpus // n)} if self.n_cpus else {}
        if custom in self.resources:
            needs[custom] = 1
        if device != "cpu" and self.resources.get("GPU", 0) >= n:
            needs["GPU"] = 1  # so that Ray hides the node's other devices from the worker
        return needs

    def most_devices(self, device: str) -> int:
        """Devices that can compute a cell together; on the CPU processes, each with a CPU of its own."""
        return 0 if device not in self.devices else self.n_cpus if device == "cpu" else self.devices[device]

    def bundles(self, device: str, n_devices: int) -> list[dict[str, float]]:
        """The resources that each process of a trial on several devices takes, together all of the node's CPUs.

        So nothing else is measured on the node meanwhile, which would share the host's links with what they say to each
        other. Empty if the node has not so many devices (or CPUs, of which each process has its own).
        """
        if n_devices == 1:
            return [self.needs(device)]
        if self.most_devices(device) < n_devices:
            return []
        share, left = divmod(self.n_cpus, n_devices)
        each = self.needs(device)
        custom = f"{CUSTOM}{device}"
        if device == "cpu" and custom in each:
            each[custom] = self.resources[custom] / n_devices
        bundles = [{**each, "CPU": share} if self.n_cpus else dict(each) for _ in range(n_devices)]
        if left:
            bundles[0]["CPU"] += left
        return bundles

    def cpus_of_process(self, device: str, n_devices: int) -> int:
        """CPUs that each process of a trial computes with: on an accelerator as many as a trial on one device has."""
        if device == "cpu" and n_devices > 1:
            return max(1, self.n_cpus // n_devices)
        return int(self.needs(device).get("CPU", 1))

    def is_called(self, text: str) -> bool:
        """Whether a name on the command line means this node: its id or the beginning of it, its host, its address."""
        is_id = len(text) >= ID_LENGTH and self.node_id.startswith(text.lower())
        return is_id or text in (self.host, self.ip)


def devices_of(resources: Mapping[str, float], accelerator: str | None) -> dict[str, int]:
    """The devices of a node from its resources, of which ``accelsweep_DEVICE: N`` says it outright, for ``cpu`` too.

    ``accelerator`` is torch's name for what Ray calls GPU there; None where torch finds none.
    """
    told = {name.removeprefix(CUSTOM): int(n) for name, n in resources.items() if name.startswith(CUSTOM) and n >= 1}
    found = {"cpu": 1} if resources.get("CPU", 0) >= 1 else {}
    if accelerator is not None and resources.get("GPU", 0) >= 1:
        found[accelerator] = int(resources["GPU"])
    return {**found, **told}


def accelerator_type_of(resources: Mapping[str, float], labels: Mapping[str, str]) -> str | None:
    """A node's accelerator as Ray names it, from its ``accelerator_type:X`` resource or its label."""
    told = sorted(name.removeprefix(_TYPE) for name in resources if name.startswith(_TYPE))
    return told[0] if told else labels.get("ray.io/accelerator-type") or None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of which a trial takes the same."""

    bundles: tuple[tuple[tuple[str, float], ...], ...]
    """What each process of a trial takes, as sorted pairs."""
    n_cpus: int
    """CPUs that each computes with."""
    node_ids: tuple[str, ...]
    n_slots: int
    """Trials that run on them at the same time."""

    @property
    def needs(self) -> dict[str, float]:
        """What a trial takes in all."""
        total: dict[str, float] = {}
        for name, n in (pair for bundle in self.bundles for pair in bundle):
            total[name] = total.get(name, 0) + n
        return total


class Cluster:
    """The nodes that a sweep may use; of ``nodes``, by id, those that have a problem or are lost are left out."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.all_nodes = list(nodes)
        self.nodes = {node.node_id: node for node in self.all_nodes if node.problem is None}

    @property
    def devices(self) -> tuple[str, ...]:
        """The device types there are, ``cpu`` first."""
        found = {device for node in self.nodes.values() for device in node.devices}
        return tuple(sorted(found, key=lambda name: (name != "cpu", name)))

    def kinds(self, device: str) -> tuple[str, ...]:
        """The kinds of node that have a device, in the order of the nodes."""
        return tuple(dict.fromkeys(node.kind(device) for node in self.nodes.values() if device in node.devices))

    def pools(self, device: str, kind: str | None = None, n_devices: int = 1) -> list[Pool]:
        """The nodes that can take a cell, those of which it takes the same together."""
        found: dict[tuple[Any, int], list[Node]] = {}
        for node in self.nodes.values():
            if device in node.devices and kind in (None, node.kind(device)):
                bundles = tuple(tuple(sorted(bundle.items())) for bundle in node.bundles(device, n_devices))
                if bundles:
                    found.setdefault((bundles, node.cpus_of_process(device, n_devices)), []).append(node)
        return [
            Pool(bundles=bundles, n_cpus=n_cpus, node_ids=tuple(n.node_id for n in nodes),
                 n_slots=len(nodes) if n_devices > 1 else sum(n.devices[device] for n in nodes))
            for (bundles, n_cpus), nodes in found.items()
        ]  # fmt: skip

    def differences(self) -> list[str]:
        """Sentences on nodes that differ in what is installed or in their clocks."""
        said = []
        for name in dict.fromkeys(name for node in self.all_nodes for name in node.versions):
            found: dict[str, list[str]] = {}
            for node in self.all_nodes:
                if node.problem is None:
                    found.setdefault(node.versions.get(name) or "none", []).append(node.name)
            if len(found) > 1:
                told = "; ".join(f"{version} on {', '.join(where)}" for version, where in found.items())
                said.append(f"nodes differ in {name}: {told}")
        for node in self.all_nodes:
            if node.clock_offset_s is not None and abs(node.clock_offset_s) >= CLOCK_S:
                word = "ahead of" if node.clock_offset_s > 0 else "behind"
                said.append(f"the clock of {node.name} is {abs(node.clock_offset_s):.2f} s {word} this machine's;"
                            " durations do not depend on it")  # fmt: skip
        return said


def chosen(nodes: Sequence[Node], on_node: Sequence[str], accelerator_type: Sequence[str]) -> list[Node]:
    """The nodes that ``--on-node`` and ``--accelerator-type`` leave; BadInputError for a name that no node has."""
    for text in on_node:
        if not any(node.is_called(text) for node in nodes):
            names = ", ".join(node.name for node in nodes) or "none"
            raise BadInputError(f"--on-node: {text!r} is not a node of this cluster; available: {names}")
    types = sorted({node.accelerator_type for node in nodes if node.accelerator_type})
    for text in accelerator_type:
        if text not in types:
            names = ", ".join(types) or "none"
            raise BadInputError(f"--accelerator-type: {text!r} is on no node of this cluster; available: {names}")
    left = [node for node in nodes if not on_node or any(node.is_called(text) for text in on_node)]
    left = [node for node in left if not accelerator_type or node.accelerator_type in accelerator_type]
    if not left:
        told = f"none of {', '.join(on_node)} has {' or '.join(accelerator_type)}"
        raise BadInputError(f"--on-node, --accelerator-type: {told}")
    return left
