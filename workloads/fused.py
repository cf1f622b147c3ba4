"""The image pipelines written to be fused: each pixel of the result from the pixels it needs, for torch.compile.

torchvision's composition writes every intermediate image to memory. Here filters that run along one axis, such as an
antialiased resize or a blur, are sums over a few taps, whose weights are read off torchvision's own operation, and the
sampling of a warp is four weighted reads; the compiler turns a whole pipeline into a few kernels. Arithmetic is in
float32; results agree with torchvision's composition on the CPU within the tolerances of ``image_processing.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.pipelines import BLUR_KERNEL, BLUR_SIGMA, IMAGENET_MEAN, IMAGENET_STD, SIZE, Parameters

Stage = Callable[..., Any]
"""Takes what the stage before it gave (the first one the uint8 batch x 3 x height x width); the last one gives a
floating tensor, items first. Each is compiled alone: what a stage gives is in memory before the next one starts."""
GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue, as torchvision's ``rgb_to_grayscale`` has them."""
TO_LEVELS = 255 + 1 - 1e-3
"""What torchvision multiplies 0 to 1 by before it cuts off to 8 bits."""


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


def _reflected(n: int, margin: int, device: torch.device) -> torch.Tensor:
    """Positions along an axis that is mirrored at its ends, the outermost pixel not repeated."""
    there = torch.arange(-margin, n + margin).abs()
    return torch.minimum(there, 2 * (n - 1) - there).int().to(device)


def _grey(x: torch.Tensor) -> torch.Tensor:
    """Batch x 1 x height x width of a batch x 3 x height x width."""
    red, green, blue = x.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue)[:, None]


def _levels(x: torch.Tensor) -> torch.Tensor:
    """Whole levels of 8 bits, cut off as torchvision does when it converts to uint8."""
    return x.clamp(0, 255).floor()


def _shift_hue(x: torch.Tensor, shift: float) -> torch.Tensor:
    """Turn the hue of pixels from 0 to 255 by a share of the circle, as torchvision does by way of HSV.

    Each channel of a colour of hue h, saturation s and value v is v - v s max(0, min(k, 4 - k, 1)) with
    k = (n + 6 h) mod 6 and n of 5, 3, 1 for red, green, blue.
    """
    red, green, blue = (x / 255).unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    divisor = torch.where(spread == 0, torch.ones_like(spread), spread)
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = torch.where(spread == 0, torch.zeros_like(hue), hue) + 6 * shift
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = torch.remainder(n + hue, 6.0)
        channels.append(value - spread * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1) * TO_LEVELS


def classification(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Crop and resize to 224, flip, colour jitter on whole levels, to float, normalise."""
    top, left, crop_height, crop_width = p.crop
    across_matrix = resize_matrix(crop_width, SIZE)
    down = Taps.of_matrix(resize_matrix(crop_height, SIZE), device)
    across = Taps.of_matrix(across_matrix.flip(0) if p.flip else across_matrix, device)
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)

    def run(batch: torch.Tensor) -> torch.Tensor:
        crop = batch[:, :, top : top + crop_height, left : left + crop_width]
        x = down.along(across.along(crop, 3), 2).round().clamp(0, 255)
        x = _levels(x * p.brightness)
        middle = _grey(x).floor().mean((1, 2, 3), keepdim=True)
        x = _levels(x * p.contrast + middle * (1 - p.contrast))
        x = _levels(x * p.saturation + _grey(x).floor() * (1 - p.saturation))
        x = _levels(_shift_hue(x, p.hue))
        return ((x / 255 - mean) / std).to(dtype)

    return [run]


def resize(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Antialiased resize to 224 x 224."""
    down, across = (Taps.of_matrix(resize_matrix(n, SIZE), device) for n in (height, width))
    return [lambda batch: (down.along(across.along(batch, 3), 2) / 255).to(dtype)]


def gaussian_blur(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Gaussian blur, down and then across: 18 taps a pixel instead of 81, each a shifted image."""
    across, down = (blur_kernel(size, sigma) for size, sigma in zip(BLUR_KERNEL, BLUR_SIGMA, strict=True))
    columns = _reflected(width, len(across) // 2, device)
    rows = _reflected(height, len(down) // 2, device)

    def pad(batch: torch.Tensor) -> tuple[torch.Tensor]:
        return (batch.index_select(2, rows).index_select(3, columns),)

    def blur(padded: torch.Tensor) -> torch.Tensor:
        blurred_down = torch.zeros((), device=device)
        for k, weight in enumerate(down):
            blurred_down = blurred_down + padded[:, :, k : k + height] * weight
        blurred = torch.zeros((), device=device)
        for k, weight in enumerate(across):
            blurred = blurred + blurred_down[..., k : k + width] * weight
        return (blurred / 255).to(dtype)

    return [pad, blur]


def _sample(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bilinear samples at pixel positions of images whose pixels are the last axis; zero beyond the edges."""
    left, top = x.floor(), y.floor()
    total = torch.zeros((), device=flat.device)
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = row.clamp(0, height - 1).int() * width + column.clamp(0, width - 1).int()
            total = total + flat.index_select(-1, index) * torch.where(is_inside, share_x * share_y, 0.0)
    return total


def _solve_perspective(start: list[list[int]], end: list[list[int]]) -> list[float]:
    """The eight coefficients that send the end points to the start points (least squares, as torchvision does)."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(end, start, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    target = torch.tensor(start, dtype=torch.float64).flatten()
    solved: list[float] = torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), target).solution.tolist()
    return solved


def _inverse_affine(p: Parameters, height: int, width: int) -> torch.Tensor:
    """2 x 3 in float64: where in the input an output pixel lies, both counted from the image's middle.

    Forward it is translate x rotate x shear x scale (torchvision's RSS), here inverted.
    """
    angle, shear = math.radians(p.angle), math.radians(p.shear)
    turn = [
        [math.cos(angle), -math.cos(angle) * math.tan(shear) - math.sin(angle)],
        [math.sin(angle), -math.sin(angle) * math.tan(shear) + math.cos(angle)],
    ]
    inverse = torch.linalg.inv(torch.tensor(turn, dtype=torch.float64) * p.scale)
    move = -inverse @ torch.tensor(p.translate, dtype=torch.float64)
    return torch.cat([inverse, move[:, None]], 1)


def geometric(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Affine, then perspective, both bilinear."""
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    c = _solve_perspective(edge, p.end_points)
    (a, b, s), (d, e, t) = _inverse_affine(p, height, width).tolist()
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    columns = torch.arange(width, device=device, dtype=torch.float32)[None, :]
    rows = torch.arange(height, device=device, dtype=torch.float32)[:, None]

    def place(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, y = columns - middle_x, rows - middle_y
        affine = a * x + b * y + s + middle_x, d * x + e * y + t + middle_y
        # torchvision's perspective counts pixels from their corners: half a pixel is added before and taken after.
        x, y = columns + 0.5, rows + 0.5
        depth = c[6] * x + c[7] * y + 1
        perspective = (c[0] * x + c[1] * y + c[2]) / depth - 0.5, (c[3] * x + c[4] * y + c[5]) / depth - 0.5
        return (batch, *(position.flatten() for position in (*affine, *perspective)))

    def sample(batch: torch.Tensor, *positions: torch.Tensor) -> torch.Tensor:
        turned = _sample(batch.flatten(2), positions[0], positions[1], height, width)
        sampled = _sample(turned, positions[2], positions[3], height, width)
        result: torch.Tensor = (sampled / 255).to(dtype).unflatten(2, (height, width))
        return result

    return [place, sample]


def sobel(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Magnitude of the Sobel gradient of the grey image."""

    def run(batch: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(batch, (1, 1, 1, 1))

        def grey(row: int, column: int) -> torch.Tensor:
            return _grey(padded[:, :, row : row + height, column : column + width].float())

        corners = {(row, column): grey(row, column) for row in range(3) for column in range(3)}
        across = sum(w * (corners[row, 0] - corners[row, 2]) for row, w in enumerate((1.0, 2.0, 1.0)))
        down = sum(w * (corners[0, column] - corners[2, column]) for column, w in enumerate((1.0, 2.0, 1.0)))
        gradient = torch.hypot(torch.as_tensor(across), torch.as_tensor(down))
        return (gradient / 255).to(dtype)

    return [run]


FusedPipeline = Callable[[Parameters, int, int, torch.device, torch.dtype], list[Stage]]
FUSED: Mapping[str, FusedPipeline] = {
    "classification": classification,
    "resize": resize,
    "gaussian-blur": gaussian_blur,
    "geometric": geometric,
    "sobel": sobel,
}
