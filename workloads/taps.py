"""Filters along one axis as sums over a few taps, their weights read off torchvision's own operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

Stage = Callable[..., Any]
"""Takes what the stage before it gave (the first one the uint8 batch x 3 x height x width); the last one gives a
floating tensor, items first. Each is compiled alone: what a stage gives is in memory before the next one starts."""


@dataclass(frozen=True, kw_only=True)
class Taps:
    """A filter along one axis: each output position is a weighted sum of some input positions.

    Attributes:
        indices: int32, taps x outputs, input positions.
        weights: float32, taps x outputs.
    """

    indices: torch.Tensor
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
        indices = start + torch.arange(n_taps)[:, None]
        weights = matrix.T.gather(0, indices)
        assert torch.allclose(weights.sum(0), matrix.sum(1), atol=1e-5), n_out
        return cls(indices=indices.int().to(device), weights=weights.contiguous().to(device))

    def along(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """The filtered tensor, in float32."""
        shape = [1] * x.ndim
        shape[dim] = -1
        total = torch.zeros((), device=x.device)
        for indices, weights in zip(self.indices.unbind(), self.weights.unbind(), strict=True):
            total = total + x.index_select(dim, indices) * weights.view(shape)
        return total


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
