"""Image pipelines: what is done to a batch of photographs, each a function on tensors of the device.

Random parameters are drawn on the CPU before the clock runs, so that every device does the same work and
their results can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F  # noqa: N812

SIZE = 224
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BLUR_KERNEL, BLUR_SIGMA = [9, 9], [2.0, 2.0]


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Parameters of one batch, drawn once from the seed."""

    crop: tuple[int, int, int, int]
    flip: bool
    brightness: float
    contrast: float
    saturation: float
    hue: float
    angle: float
    translate: tuple[int, int]
    scale: float
    shear: float
    end_points: list[list[int]]


def draw_parameters(height: int, width: int, seed: int) -> Parameters:
    """The parameters of a batch of images of the given size, by torchvision's own rules of drawing."""
    image = torch.empty(3, height, width, dtype=torch.uint8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        uniform = torch.empty(10).uniform_(-1, 1).tolist()
        made = v2.RandomResizedCrop(SIZE, antialias=True).make_params([image])
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    shift = [[round(0.1 * width * u), round(0.1 * height * v)] for u, v in zip(uniform[:4], uniform[4:8], strict=True)]
    ends = [[x - dx, y - dy] for (x, y), (dx, dy) in zip(edge, shift, strict=True)]
    return Parameters(
        crop=(made["top"], made["left"], made["height"], made["width"]),
        flip=uniform[8] > 0,
        brightness=1 + 0.4 * uniform[0], contrast=1 + 0.4 * uniform[1], saturation=1 + 0.4 * uniform[2],
        hue=0.1 * uniform[3], angle=20 * uniform[4],
        translate=(round(0.1 * width * uniform[5]), round(0.1 * height * uniform[6])),
        scale=1 + 0.1 * uniform[7], shear=5 * uniform[9], end_points=ends,
    )  # fmt: skip


def classification(batch: torch.Tensor, p: Parameters, dtype: torch.dtype) -> Any:
    """The usual training augmentation: crop and resize to 224, flip, colour jitter, to float, normalise."""
    top, left, height, width = p.crop
    out = F.resized_crop(batch, top, left, height, width, [SIZE, SIZE], InterpolationMode.BILINEAR, antialias=True)
    out = F.horizontal_flip(out) if p.flip else out
    out = F.adjust_brightness(out, p.brightness)
    out = F.adjust_contrast(out, p.contrast)
    out = F.adjust_saturation(out, p.saturation)
    out = F.adjust_hue(out, p.hue)
    return F.normalize(F.to_dtype(out, dtype, scale=True), IMAGENET_MEAN, IMAGENET_STD)


def resize(batch: torch.Tensor, p: Parameters, dtype: torch.dtype) -> Any:
    """Antialiased resize to 224 x 224."""
    return F.resize(F.to_dtype(batch, dtype, scale=True), [SIZE, SIZE], antialias=True)


def gaussian_blur(batch: torch.Tensor, p: Parameters, dtype: torch.dtype) -> Any:
    """Gaussian blur, 9 x 9, sigma 2."""
    return F.gaussian_blur(F.to_dtype(batch, dtype, scale=True), BLUR_KERNEL, BLUR_SIGMA)


def geometric(batch: torch.Tensor, p: Parameters, dtype: torch.dtype) -> Any:
    """Affine, then perspective, both bilinear."""
    out = F.to_dtype(batch, dtype, scale=True)
    out = F.affine(
        out, angle=p.angle, translate=list(p.translate), scale=p.scale, shear=[p.shear, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )  # fmt: skip
    height, width = batch.shape[-2:]
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    return F.perspective(out, edge, p.end_points, interpolation=InterpolationMode.BILINEAR)


def sobel(batch: torch.Tensor, p: Parameters, dtype: torch.dtype) -> Any:
    """Magnitude of the Sobel gradient of the grey image, by conv2d."""
    grey = F.rgb_to_grayscale(F.to_dtype(batch, dtype, scale=True))
    across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], dtype=dtype, device=batch.device)
    kernels = torch.stack([across, across.T])[:, None]
    gradient = torch.nn.functional.conv2d(grey, kernels, padding=1)
    return gradient.square().sum(1, keepdim=True).sqrt()


Pipeline = Callable[[torch.Tensor, Parameters, torch.dtype], Any]
"""uint8 batch x 3 x height x width to a floating tensor, items first; torchvision's functions are untyped."""
PIPELINES: Mapping[str, Pipeline] = {
    "classification": classification,
    "resize": resize,
    "gaussian-blur": gaussian_blur,
    "geometric": geometric,
    "sobel": sobel,
}
