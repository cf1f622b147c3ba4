"""Memory formats, batch as model input, many items in batches of one size."""

from __future__ import annotations

from collections.abc import Callable

import torch

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def laid_out(batch: torch.Tensor, memory_format: str) -> torch.Tensor:
    """A batch of images, items x channels x height x width, with its values in that order or each pixel's together."""
    return batch.contiguous(memory_format=MEMORY_FORMATS[memory_format])


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
