"""A network trained by several processes, a device each: copied whole to all (DDP), or a share on each (FSDP)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from workloads.base import UnsupportedError
from workloads.runtime.group import Group

UNIT_SHARE = 1 / 8
"""FSDP gathers a unit's parameters for its forward and backward pass: units hold no more than this share of all."""
_NOT_CALLED = (nn.ModuleList, nn.ModuleDict)
_WHOLE = (nn.MultiheadAttention,)
"""Reads the parameters of its own parts without calling them."""


def copied_to_all(module: nn.Module) -> nn.Module:
    """The network as DDP trains it: gradients are averaged over the processes while they are computed.

    Buffers are not sent: the first process evaluates, and a broadcast would give it its own. Each process normalises
    its own batch.
    """
    kind: Any = nn.parallel.DistributedDataParallel
    name = "forward_sync_buffers"  # since torch 2.14, which warns of the older name
    name = name if name in inspect.signature(kind).parameters else "broadcast_buffers"
    trained: nn.Module = kind(module, gradient_as_bucket_view=True, **{name: False})
    return trained


def shared_by_all(module: nn.Module) -> nn.Module:
    """The network itself, its parameters now cut into shares, one in each process (FSDP2)."""
    from torch.distributed.fsdp import fully_shard

    for unit in _units(module, UNIT_SHARE * sum(p.numel() for p in module.parameters())):
        fully_shard(unit)
    fully_shard(module)
    return module


def _units(module: nn.Module, most: float) -> Iterator[nn.Module]:
    for child in module.children():
        n = sum(p.numel() for p in child.parameters())
        is_large = n > most and any(True for _ in child.children()) and not isinstance(child, _WHOLE)
        if is_large or isinstance(child, _NOT_CALLED):
            yield from _units(child, most)
        elif n:
            yield child


def spread(module: nn.Module, group: Group, device: torch.device, how: str) -> tuple[nn.Module, nn.Module | None]:
    """What a step calls; and a whole copy on the CPU where the module is cut into shares.

    Args:
        module: The network, on the device.
        group: The processes, which are connected here; for one it is the module.
        device: Of this process.
        how: ``ddp`` or ``fsdp``.

    Raises:
        UnsupportedError: torch cannot connect devices of this type.
    """
    if group.is_alone:
        return module, None
    try:
        group.join(device)
    except ValueError as error:
        raise UnsupportedError(f"torch.distributed connects no {device.type} devices: {error}") from error
    torch.manual_seed(torch.initial_seed() + group.rank)  # what is dropped differs between the processes
    if how == "ddp":
        return copied_to_all(module), None
    whole = copy.deepcopy(module).cpu()
    return shared_by_all(module), whole


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in one piece, gathered from the processes that have its shares; every one of them must ask."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()
