"""What a sweep may run on: this machine, or nodes of a cluster; asked for, asked for again, and told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from sweeps.measure.device.here import devices_here
from sweeps.plan.config import SweepConfig
from sweeps.scheduling.nodes import Cluster, chosen
from sweeps.session.terminal import say
from workloads.base import BadInputError


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a sweep may run on."""

    devices: Sequence[str] = field(default_factory=lambda: tuple(devices_here()))
    """Their types, ``cpu`` first."""
    cluster: Cluster | None = None
    """The nodes, where ``--address`` names a cluster; None for this machine alone."""

    @property
    def kinds(self) -> dict[str, tuple[str, ...]] | None:
        """The kinds of the nodes by device; None without a cluster."""
        return None if self.cluster is None else {name: self.cluster.kinds(name) for name in self.devices}

    @classmethod
    def of(cls, cluster: Cluster, on_node: Sequence[str], accelerator_type: Sequence[str]) -> Machines:
        """The nodes of a cluster that are left by ``--on-node`` and ``--accelerator-type``; BadInputError for none."""
        left = Cluster(chosen(cluster.all_nodes, on_node, accelerator_type))
        if not left.devices:
            why = "; ".join(
                f"{n.name} {n.problem or 'offers neither a CPU nor an accelerator'}" for n in left.all_nodes
            )
            raise BadInputError(f"--address: nothing can be measured on this cluster: {why}")
        return cls(devices=left.devices, cluster=left)


def machines_again(config: SweepConfig, common: Any, cluster: Cluster | None) -> Machines:
    """What a sweep goes on with: nodes as asked for, unless others are named now; BadInputError if none are named."""
    if cluster is not None:
        types = common.accelerator_type or config.accelerator_type
        return Machines.of(cluster, common.on_node or config.on_node, types)
    if config.node_kinds or config.on_node or config.accelerator_type:
        raise BadInputError(f"--resume: {common.resume!r} belongs to nodes of a cluster; give its --address")
    return Machines()


def introduce(console: Console, config: SweepConfig, cluster: Cluster) -> None:
    """Say which nodes are used, which are not and why, and what follows from their kinds."""
    for node in cluster.all_nodes:
        if node.problem is not None:
            say(console, f"node {node.name} is left out: it {node.problem}")
    for node in cluster.nodes.values():
        devices = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in node.devices.items())
        kinds = ", ".join([node.kind("cpu"), *filter(None, [node.accelerator_type])])
        say(console, f"node {node.name}: {devices or 'nothing to measure'}; {kinds}")
    for device in config.device:
        there = cluster.kinds(device)
        if len(there) > 1 and not config.node_kinds:
            told = (
                f"{device} comes in {len(there)} kinds here ({'; '.join(there)}), and a cell runs on whichever is free"
            )
            say(console, f"{told}; --each-node runs every cell on each, --on-node and --accelerator-type select")
