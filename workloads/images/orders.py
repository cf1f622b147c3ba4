"""The order in which a training sees its items, the same for all processes that train together."""

from __future__ import annotations

import torch

from workloads.runtime.group import Group


class Order:
    """Batches of indices, without replacement within an epoch, whose incomplete batch is left out.

    Args:
        n_items: How many there are.
        batch_size: Items of a step, of all processes together.
        seed: Of the order.
        group: Those processes, each of which takes its part of every batch.
    """

    def __init__(self, n_items: int, batch_size: int, seed: int, group: Group) -> None:
        self._n_items, self._batch_size, self._group = n_items, batch_size, group
        self._generator = torch.Generator().manual_seed(seed)
        self._queue = torch.empty(0, dtype=torch.int64)

    def next(self) -> torch.Tensor:
        """Indices of this process's next batch, int64."""
        if len(self._queue) < self._batch_size:
            self._queue = torch.randperm(self._n_items, generator=self._generator)
        indices, self._queue = self._queue[: self._batch_size], self._queue[self._batch_size :]
        return self._group.share(indices)
