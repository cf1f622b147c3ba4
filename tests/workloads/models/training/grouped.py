"""A small network trained for two steps by two processes, or by one with all their items."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from workloads.models.training.parallel import spread
from workloads.models.training.steps import Steps, steps_of
from workloads.runtime.group import Group

N_ITEMS = 8


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


def items() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N_ITEMS, 3, 16, 16, generator=generator), torch.arange(N_ITEMS) % 5


def trained(group: Group, how: str) -> Steps:
    """The first steps in evaluation mode, where a batch's statistics, of which each process has its own, play no part."""
    module = network().eval()
    forward, _ = spread(module, group, torch.device("cpu"), how)
    parameters = list(module.parameters())
    inputs, labels = items()
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    return steps_of(forward, parameters, (group.share(inputs), group.share(labels)), optimizer, group=group)


def _other(port: int, ways: Sequence[str]) -> None:
    store = dist.TCPStore("127.0.0.1", port, is_master=False, wait_for_workers=False)
    for how in ways:
        _trained_as(1, store, how)
    os._exit(0)  # threads of gloo that outlive the interpreter would end the process by an abort


def _trained_as(rank: int, store: Any, how: str) -> Steps:
    group = Group(rank=rank, size=2, store=dist.PrefixStore(how, store), timeout_s=60)
    try:
        return trained(group, how)
    finally:
        group.leave()


def trained_by_two(ways: Sequence[str]) -> dict[str, Steps]:
    """In each of these ways, one after the other, by the first of two processes, as which this one takes part."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    other = multiprocessing.get_context("spawn").Process(target=_other, args=(store.port, ways))
    other.start()
    try:
        return {how: _trained_as(0, store, how) for how in ways}
    finally:
        other.join(30)
        assert other.exitcode == 0
