"""Memory formats, batch as model input."""

from __future__ import annotations

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
