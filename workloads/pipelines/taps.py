"""Filters along one axis as sums over a few taps, their weights read off torchvision's own operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812

Stage = Callable[..., Any]
"""Takes what the stage before it gave (the first one the uint8 batch x 3 x height x width); the last one gives a
floating tensor, items first. Each is compiled alone: what a stage gives is in memory before the next one starts."""


@dataclass(frozen=True, kw_only=True)
class Taps:
    """A filter along one axis: each output position is a weighted sum of some neighbouring input positions.

    Attributes:
        start: int32, outputs: the first input position of each.
        weights: float32, taps x outputs: of that position and of those after it.
    """

    start: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of_matrix(cls, matrix: torch.Tensor, device: torch.device) -> Taps:
        """From a matrix, outputs x inputs, of which each row has a few neighbouring entries that are not zero."""
        n_out, n_in = matrix.shape
        is_used = matrix != 0
        first = is_used.int().argmax(1)
        last = n_in - 1 - is_used.flip(1).int().argmax(1)
        n_taps = int((last - first).max()) + 1
        start = first.clamp(max=n_in - n_taps)
        weights = matrix.T.gather(0, start + torch.arange(n_taps)[:, None])
        assert torch.allclose(weights.sum(0), matrix.sum(1), atol=1e-5), n_out
        return cls(start=start.int().to(device), weights=weights.contiguous().to(device))

    def along(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """The filtered tensor, in float32."""
        shape = [1] * x.ndim
        shape[dim] = -1
        total = torch.zeros((), device=x.device)
        for k, weights in enumerate(self.weights.unbind()):
            total = total + x.index_select(dim, self.start + k) * weights.view(shape)
        return total


Resampling = Callable[[torch.Tensor], torch.Tensor]
"""A batch x channels x height x width, of any type, to float32 with another height and width."""


def resampling(down: Taps, across: Taps, width: int, crop: tuple[int, int, int, int]) -> Resampling:
    """Both axes filtered, in the form that pays on the taps' device.

    A CPU filters down and then across, which reads whole rows in vectors. An accelerator sums the taps of both axes
    for each output in one kernel, without an image in between: a resize of 64 images from 427 x 640 to 224 took an H100
    0.085 ms so, and 0.106 to 0.127 ms with two kernels (``tests/benchmarks/profiles/image_profile.py``).

    Args:
        down: Along the height.
        across: Along the width.
        width: Of the images that come.
        crop: Top, left, height and width of the part that is filtered.
    """
    n_rows, n_columns = len(down.start), len(across.start)
    top, left, bottom, right = crop[0], crop[1], crop[0] + crop[2], crop[1] + crop[3]
    if is_cpu(down.start.device):
        return lambda batch: across.along(down.along(batch[:, :, top:bottom, left:right], 2), 3)
    corner = ((down.start[:, None] + top) * width + across.start + left).flatten()

    def of_windows(batch: torch.Tensor) -> torch.Tensor:
        flat = batch.flatten(2)
        total = torch.zeros((), device=corner.device)
        for i, row_weights in enumerate(down.weights.unbind()):
            of_row = torch.zeros((), device=corner.device)
            for j, column_weights in enumerate(across.weights.unbind()):
                weights = column_weights.expand(n_rows, -1).flatten()
                of_row = of_row + flat.index_select(2, corner + (i * width + j)) * weights
            total = total + of_row * row_weights[:, None].expand(-1, n_columns).flatten()
        result: torch.Tensor = total.unflatten(2, (n_rows, n_columns))
        return result

    return of_windows


def is_cpu(device: torch.device) -> bool:
    """Whether the forms that a CPU's caches and vectors like are the ones to take."""
    return device.type == "cpu"


def resize_matrix(n_in: int, n_out: int) -> torch.Tensor:
    """What torchvision's antialiased bilinear resize makes of the identity: one axis as a matrix, n_out x n_in."""
    eye = torch.eye(n_in)[None]
    resized: torch.Tensor = F.resize(eye, [n_out, n_in], antialias=True)
    return resized[0]


def blur_kernel(size: int, sigma: float) -> list[float]:
    """The Gaussian of torchvision's blur: what it makes of a single bright pixel, along one axis."""
    pixel = torch.zeros(1, 2 * size + 1, 1)
    pixel[0, size, 0] = 1
    blurred = F.gaussian_blur(pixel, [1, size], [sigma, sigma])
    kernel: list[float] = blurred[0, size - size // 2 : size + size // 2 + 1, 0].tolist()
    return kernel


def reflected(n: int, margin: int, device: torch.device) -> torch.Tensor:
    """Positions along an axis that is mirrored at its ends, the outermost pixel not repeated."""
    there = torch.arange(-margin, n + margin).abs()
    return torch.minimum(there, 2 * (n - 1) - there).int().to(device)
