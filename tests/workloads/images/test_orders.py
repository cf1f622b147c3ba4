"""The order of a training's items: whole epochs, the same for all processes, of which each has its own part."""

from __future__ import annotations

import torch

from workloads.images.orders import Order
from workloads.runtime.group import Group

N, BATCH = 10, 4


def drawn(n_batches: int, rank: int = 0, size: int = 1, seed: int = 3) -> list[torch.Tensor]:
    order = Order(N, BATCH, seed, Group(rank=rank, size=size))
    return [order.next() for _ in range(n_batches)]


def test_an_epoch_has_each_item_once_and_leaves_out_what_fills_no_batch() -> None:
    first, second = torch.cat(drawn(4)[:2]), torch.cat(drawn(4)[2:])
    assert first.unique().numel() == second.unique().numel() == 2 * BATCH
    assert not torch.equal(first, second)


def test_the_processes_share_the_batches_that_one_alone_would_have() -> None:
    whole, mine, other = drawn(5), drawn(5, 0, 2), drawn(5, 1, 2)
    assert all(len(part) == BATCH // 2 for part in mine)
    for batch, *parts in zip(whole, mine, other, strict=True):
        assert torch.equal(batch, torch.cat(parts))
