"""The image pipelines as kornia has them, with the parameters of ours: nearest functions, so that answers can be compared.

``COMPUTES`` says in words what each does, and what differs from torchvision's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import kornia
import torch
from torchvision.transforms.functional import _get_inverse_affine_matrix

from workloads.pipelines.composed import BLUR_KERNEL, BLUR_SIGMA, IMAGENET_MEAN, IMAGENET_STD, SIZE, Parameters

HALF = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]], dtype=torch.float64)
"""From kornia's coordinates, whose whole numbers are the centres of pixels, to torchvision's, where these end in .5."""
Run = Callable[[torch.Tensor], torch.Tensor]
"""uint8 items x 3 x height x width on the device, to float32."""


def _resized(x: torch.Tensor) -> torch.Tensor:
    return kornia.geometry.transform.resize(x, (SIZE, SIZE), interpolation="bilinear", antialias=True)


def _unit(batch: torch.Tensor) -> torch.Tensor:
    return batch.float() / 255


def classification(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    top, left, height, width = p.crop
    mean, std = (torch.tensor(values, device=device) for values in (IMAGENET_MEAN, IMAGENET_STD))

    def run(batch: torch.Tensor) -> torch.Tensor:
        x = _resized(_unit(batch[..., top : top + height, left : left + width]))
        x = kornia.geometry.transform.hflip(x) if p.flip else x
        x = kornia.enhance.adjust_brightness_accumulative(x, p.brightness)
        x = kornia.enhance.adjust_contrast_with_mean_subtraction(x, p.contrast)
        x = kornia.enhance.adjust_saturation_with_gray_subtraction(x, p.saturation)
        x = kornia.enhance.adjust_hue(x, 2 * math.pi * p.hue)
        return kornia.enhance.normalize(x, mean, std)

    return run


def augmentation(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    """Not with our parameters: as its users write it, drawn anew in each step for each image."""
    module = torch.nn.Sequential(
        kornia.augmentation.RandomResizedCrop((SIZE, SIZE)),
        kornia.augmentation.RandomHorizontalFlip(p=0.5),
        kornia.augmentation.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0),
        kornia.augmentation.Normalize(torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)),
    ).to(device)
    return lambda batch: module(_unit(batch))


def resize(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    return lambda batch: _resized(_unit(batch))


def gaussian_blur(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    kernel, sigma = (BLUR_KERNEL[1], BLUR_KERNEL[0]), (BLUR_SIGMA[1], BLUR_SIGMA[0])
    return lambda batch: kornia.filters.gaussian_blur2d(_unit(batch), kernel, sigma)


def geometric(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    height, width = size
    inverse = _get_inverse_affine_matrix([0.0, 0.0], p.angle, [float(t) for t in p.translate], p.scale, [p.shear, 0.0])
    middle = torch.tensor([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1]], dtype=torch.float64)
    whole = torch.tensor([*inverse, 0.0, 0.0, 1.0], dtype=torch.float64).view(3, 3)
    forward = HALF.inverse() @ middle @ whole.inverse() @ middle.inverse() @ HALF
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    first, last = (torch.tensor([points], dtype=torch.float64) for points in (edge, p.end_points))
    found = kornia.geometry.transform.get_perspective_transform(first, last)[0]
    affine = forward[None, :2].float().to(device)
    perspective = (HALF.inverse() @ found @ HALF)[None].float().to(device)

    def run(batch: torch.Tensor) -> torch.Tensor:
        x, n = _unit(batch), len(batch)
        x = kornia.geometry.transform.warp_affine(x, affine.expand(n, 2, 3), size)
        return kornia.geometry.transform.warp_perspective(x, perspective.expand(n, 3, 3), size)

    return run


def sobel(p: Parameters, device: torch.device, size: tuple[int, int]) -> Run:
    return lambda batch: kornia.filters.sobel(kornia.color.rgb_to_grayscale(_unit(batch)), normalized=False)


Made = Callable[[Parameters, torch.device, tuple[int, int]], Run]
PIPELINES: dict[str, Made] = {
    "classification": classification,
    "resize": resize,
    "gaussian-blur": gaussian_blur,
    "geometric": geometric,
    "sobel": sobel,
}
"""By our names. Each is given a batch's parameters, the device, and height and width of the images."""
OTHERS: dict[str, dict[str, Made]] = {"classification": {"kornia.augmentation": augmentation}}
"""Further ways of kornia to a pipeline, whose answers are not ours to compare."""
VERSION = functools.partial(getattr, kornia, "__version__")
