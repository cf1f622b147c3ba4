"""Memory formats, batch as model input, many items in batches of one size."""

from __future__ import annotations

from collections.abc import Callable

import torch

FORMATS = {
    "contiguous": dict.fromkeys((4, 5), torch.contiguous_format),
    "channels_last": {4: torch.channels_last, 5: torch.channels_last_3d},
}
"""Memory formats by the dimensions of what is laid out; whatever has others has one order only."""


def laid_out(tensor: torch.Tensor, memory_format: str) -> torch.Tensor:
    """A tensor in a memory format, as far as it has as many dimensions as that is for."""
    return tensor.contiguous(memory_format=FORMATS[memory_format].get(tensor.ndim, torch.contiguous_format))


def to_model_input(batch: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """uint8 pixels to normalised float32."""
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    normalised: torch.Tensor = F.normalize(F.to_dtype(batch, torch.float32, scale=True), list(mean), list(std))
    return normalised


def by_batches(answers: Callable[[torch.Tensor], torch.Tensor], n: int, size: int) -> torch.Tensor:
    """Answers for n items, had in batches of one size: a compiled graph may know no other.

    Args:
        answers: Takes the indices of ``size`` items, from 0 to n - 1, and gives their answers, items first. The last
            batch is filled up with the first items.
        n: Items.
        size: Of each batch.

    Returns:
        float32 on the CPU, n x ...
    """
    starts = range(0, n, size)
    return torch.cat([answers(torch.arange(i, i + size) % n)[: n - i].float().cpu() for i in starts])
