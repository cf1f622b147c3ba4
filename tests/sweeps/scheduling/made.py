"""Nodes as Ray would describe them, and sweeps over their devices."""

from __future__ import annotations

from typing import Any

from sweeps.plan.config import SweepConfig
from sweeps.scheduling.nodes import Cluster, Node

GPU = "gpu"  # as torch might call it; only the device module knows real ones


def node(letter: str, **values: Any) -> Node:
    plain: dict[str, Any] = {
        "node_id": letter * 56, "host": f"host-{letter}", "ip": f"10.0.0.{ord(letter) - 96}", "cpu_name": "EPYC",
        "resources": {"CPU": 16.0}, "devices": {"cpu": 1}, "versions": {"torch": "2.14"}, "clock_offset_s": 0.0,
    }  # fmt: skip
    return Node(**{**plain, **values})


def gpu_node(letter: str, n: int, kind: str = "H100", n_cpus: int = 16) -> Node:
    resources = {"CPU": float(n_cpus), "GPU": float(n), f"accelerator_type:{kind}": 1.0}
    return node(letter, resources=resources, devices={"cpu": 1, GPU: n}, accelerator_type=kind)


def config_of(cluster: Cluster, *, each: bool = False, **values: Any) -> SweepConfig:
    devices = cluster.devices
    kinds = {device: cluster.kinds(device) for device in devices} if each else {}
    plain: dict[str, Any] = {"device": devices, "batch_size": (1, 2), "precision": ("fp32",), "model": ("m",)}
    return SweepConfig(workload="inference", node_kinds=kinds, **{**plain, **values})
