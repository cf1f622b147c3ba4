"""Memory formats, batch as model input, many items in batches of one size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch

FORMATS = {
    "contiguous": dict.fromkeys((4, 5), torch.contiguous_format),
    "channels_last": {4: torch.channels_last, 5: torch.channels_last_3d},
}
"""Memory formats by the dimensions of what is laid out; whatever has others has one order only."""
LEAST_ITEMS = 2
"""By which an answer can be told from one that is the same whatever the item."""


def laid_out(tensor: torch.Tensor, memory_format: str) -> torch.Tensor:
    """A tensor in a memory format, as far as it has as many dimensions as that is for."""
    return tensor.contiguous(memory_format=FORMATS[memory_format].get(tensor.ndim, torch.contiguous_format))


def to_model_input(batch: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """uint8 pixels to normalised float32."""
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    normalised: torch.Tensor = F.normalize(F.to_dtype(batch, torch.float32, scale=True), list(mean), list(std))
    return normalised


def batches_in_turn(n: int, size: int, most_s: float = math.inf) -> Iterator[tuple[torch.Tensor, int]]:
    """So many items in batches of one size: a compiled graph may know no other.

    Args:
        n: Items.
        size: Of each batch.
        most_s: Seconds of the caller after which no further batch is begun, once there are ``LEAST_ITEMS``.

    Yields:
        The indices of ``size`` items, from 0 to n - 1, and how many of them are new: the last batch is filled up with
        the first items.
    """
    end = time.monotonic() + most_s
    for start in range(0, n, size):
        if start >= LEAST_ITEMS and time.monotonic() > end:
            return
        yield torch.arange(start, start + size) % n, min(size, n - start)


def by_batches(
    answers: Callable[[torch.Tensor], torch.Tensor], n: int, size: int, most_s: float = math.inf
) -> torch.Tensor:
    """Answers to items in batches of one size.

    Args:
        answers: Takes the indices of ``size`` items and gives their answers, items first.
        n: Items.
        size: Of each batch.
        most_s: As of ``batches_in_turn``.

    Returns:
        float32 on the CPU, items x ...
    """
    return torch.cat([answers(index)[:n_new].float().cpu() for index, n_new in batches_in_turn(n, size, most_s)])
