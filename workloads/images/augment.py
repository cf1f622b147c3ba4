"""Augmentation of a training batch on the device: each item its own crop, scale and mirroring, in one sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F  # noqa: N812 (the field's usual name)

    from workloads.runtime import streams
else:
    torch, F = late("torch"), late("torch.nn.functional")
    streams = late("workloads.runtime.streams")

Augmentation = Literal["none", "crop", "crop-flip"]
SCALE = (0.64, 1.0)
"""Share of the image's area that a crop covers; its shape stays square, as the images are."""


def draw_crops(n_items: int, kind: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Where each item's output pixels lie in its input: n x 2 x 3, in ``affine_grid``'s coordinates of -1 to 1.

    Args:
        n_items: Items of the batch.
        kind: crop, or crop-flip, which mirrors half of the items.
        generator: On the CPU, so that every device draws alike.
    """
    uniform = torch.rand(4, n_items, generator=generator)
    side = (SCALE[0] + (SCALE[1] - SCALE[0]) * uniform[0]).sqrt()
    shift = (2 * uniform[1:3] - 1) * (1 - side)
    mirror = torch.where((uniform[3] < 0.5) & (kind == "crop-flip"), -1.0, 1.0)
    theta = torch.zeros(n_items, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side * mirror, side
    theta[:, 0, 2], theta[:, 1, 2] = shift[0], shift[1]
    return theta


def _centres(inputs: torch.Tensor, dim: int) -> torch.Tensor:
    """Where pixels lie along a dimension, in ``grid_sample``'s coordinates: -1 to 1 are the image's outer edges."""
    n = inputs.shape[dim]
    return (2 * torch.arange(n, device=inputs.device, dtype=inputs.dtype) + 1) / n - 1


def augmented(inputs: torch.Tensor, kind: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """A floating batch, n x 3 x height x width, each item cropped and resized back (bilinear), some mirrored."""
    if kind == "none":
        return inputs
    theta = streams.send(draw_crops(len(inputs), kind, generator).to(inputs.dtype), inputs.device)
    # Nothing turns, so x and y are each a line: affine_grid's matrix products would take longer than the sampling.
    x, y = (theta[:, i, i, None] * _centres(inputs, 3 - i) + theta[:, i, 2, None] for i in (0, 1))
    shape = (len(inputs), y.shape[1], x.shape[1])
    grid = torch.stack((x[:, None, :].expand(shape), y[:, :, None].expand(shape)), dim=-1)
    return F.grid_sample(inputs, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
