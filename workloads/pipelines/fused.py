"""The image pipelines written to be fused: each pixel of the result from the pixels it needs, for torch.compile.

torchvision's composition writes every intermediate image to memory. Here filters that run along one axis, such as an
antialiased resize or a blur, are sums over a few taps, whose weights are read off torchvision's own operation, and the
sampling of a warp is four weighted reads; the compiler turns a whole pipeline into a few kernels. Arithmetic is in
float32; results agree with torchvision's composition on the CPU within the tolerances of ``image_processing.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from workloads.pipelines.composed import BLUR_KERNEL, BLUR_SIGMA, IMAGENET_MEAN, IMAGENET_STD, SIZE, Parameters
from workloads.pipelines.taps import Stage, Taps, blur_kernel, is_cpu, reflected, resampling, resize_matrix
from workloads.pipelines.warps import geometric

GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue, as torchvision's ``rgb_to_grayscale`` has them."""
TO_LEVELS = 255 + 1 - 1e-3
"""What torchvision multiplies 0 to 1 by before it cuts off to 8 bits."""


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
    *_, crop_height, crop_width = p.crop
    across_matrix = resize_matrix(crop_width, SIZE)
    down = Taps.of_matrix(resize_matrix(crop_height, SIZE), device)
    across = Taps.of_matrix(across_matrix.flip(0) if p.flip else across_matrix, device)
    resized = resampling(down, across, width, p.crop)
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)

    def run(batch: torch.Tensor) -> torch.Tensor:
        x = resized(batch).round().clamp(0, 255)
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
    resized = resampling(down, across, width, (0, 0, height, width))
    return [lambda batch: (resized(batch) / 255).to(dtype)]


def gaussian_blur(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Gaussian blur, down and then across: 18 taps a pixel instead of 81, each a shifted image."""
    across, down = (blur_kernel(size, sigma) for size, sigma in zip(BLUR_KERNEL, BLUR_SIGMA, strict=True))
    columns = reflected(width, len(across) // 2, device)
    rows = reflected(height, len(down) // 2, device)

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


def sobel(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Magnitude of the Sobel gradient of the grey image.

    A CPU pads the grey image first: within one loop each pixel would ask for each of its neighbours whether it lies
    outside, nine times over, without vectors (78 ms instead of 0.6 ms for four images on two cores). An accelerator
    has it all in one kernel.
    """

    def gradient(grey: Callable[[int, int], torch.Tensor]) -> torch.Tensor:
        corners = {(row, column): grey(row, column) for row in range(3) for column in range(3)}
        across = sum(w * (corners[row, 0] - corners[row, 2]) for row, w in enumerate((1.0, 2.0, 1.0)))
        down = sum(w * (corners[0, column] - corners[2, column]) for column, w in enumerate((1.0, 2.0, 1.0)))
        return (torch.as_tensor(across * across + down * down).sqrt() / 255).to(dtype)

    def shifted(image: torch.Tensor, row: int, column: int) -> torch.Tensor:
        return image[:, :, row : row + height, column : column + width]

    def whole(batch: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(batch, (1, 1, 1, 1))
        return gradient(lambda row, column: _grey(shifted(padded, row, column).float()))

    def pad(batch: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.nn.functional.pad(_grey(batch.float()), (1, 1, 1, 1)),)

    def of_padded(grey: torch.Tensor) -> torch.Tensor:
        return gradient(lambda row, column: shifted(grey, row, column))

    return [pad, of_padded] if is_cpu(device) else [whole]


FusedPipeline = Callable[[Parameters, int, int, torch.device, torch.dtype], list[Stage]]
FUSED: Mapping[str, FusedPipeline] = {
    "classification": classification,
    "resize": resize,
    "gaussian-blur": gaussian_blur,
    "geometric": geometric,
    "sobel": sobel,
}
