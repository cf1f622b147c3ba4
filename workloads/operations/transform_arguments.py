"""What each kernel of torchvision.transforms.v2.functional is called with, by its name less what it takes.

Pixel values (LEVELS) are fractions of the largest level; an argument that a kernel does not have is left out.
"""

from __future__ import annotations

from typing import Any

import torch

from workloads.runtime.without_compiler import import_torchvision

import_torchvision()
from torchvision.transforms import InterpolationMode  # noqa: E402 (which imports torch's compiler if it comes first)
from torchvision.tv_tensors import BoundingBoxFormat  # noqa: E402

CANVAS = (32, 48)
"""Height and width of every image, mask and canvas."""
LEVELS = ("fill", "threshold", "v")
_BILINEAR, _NEAREST = InterpolationMode.BILINEAR, InterpolationMode.NEAREST
_START = [[0, 0], [47, 0], [47, 31], [0, 31]]
_END = [[4, 3], [44, 1], [46, 29], [2, 30]]
_AFFINE = {"angle": 17.0, "translate": [3, -2], "scale": 1.1, "shear": [5.0, -3.0]}


def _displacement() -> torch.Tensor:
    """One small shift per pixel, smooth, 1 x height x width x 2."""
    rows, columns = torch.meshgrid(*(torch.linspace(0, 6.28, n) for n in CANVAS), indexing="ij")
    return 0.05 * torch.stack([torch.sin(columns), torch.cos(rows)], dim=-1)[None]


ARGUMENTS: dict[str, tuple[dict[str, Any], ...]] = {
    "adjust_brightness": ({"brightness_factor": 0.7}, {"brightness_factor": 1.4}),
    "adjust_contrast": ({"contrast_factor": 0.6}, {"contrast_factor": 1.5}),
    "adjust_gamma": ({"gamma": 0.8}, {"gamma": 2.0, "gain": 0.9}),
    "adjust_hue": ({"hue_factor": 0.2}, {"hue_factor": -0.3}),
    "adjust_saturation": ({"saturation_factor": 0.5}, {"saturation_factor": 1.6}),
    "adjust_sharpness": ({"sharpness_factor": 0.5}, {"sharpness_factor": 2.0}),
    "affine": ({**_AFFINE, "interpolation": _BILINEAR}, {**_AFFINE, "interpolation": _BILINEAR, "fill": 0.5}),
    "autocontrast": ({},),
    "center_crop": ({"output_size": [20, 24]}, {"output_size": [40, 40]}),
    "clamp": ({"clamping_mode": "soft"}, {"clamping_mode": "hard"}),
    "convert_bounding_box_format": ({"new_format": BoundingBoxFormat.XYWH}, {"new_format": BoundingBoxFormat.CXCYWH}),
    "convert_image_dtype": ({"dtype": torch.float32},),
    "crop": ({"top": 3, "left": 5, "height": 16, "width": 21}, {"top": -2, "left": 40, "height": 16, "width": 21}),
    "elastic": ({"displacement": _displacement(), "interpolation": _BILINEAR},),
    "equalize": ({},),
    "erase": ({"i": 2, "j": 3, "h": 9, "w": 7, "v": torch.full((3, 1, 1), 0.25)},),
    "five_crop": ({"size": [16, 16]},),
    "gaussian_blur": ({"kernel_size": [3, 5], "sigma": [0.8, 1.2]}, {"kernel_size": [7, 7]}),
    "gaussian_noise": ({"mean": 0.0, "sigma": 0.1},),
    "grayscale_to_rgb": ({},),
    "horizontal_flip": ({},),
    "invert": ({},),
    "jpeg": ({"quality": 80},),
    "normalize": ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},),
    "pad": (
        {"padding": [1, 2, 3, 4]}, {"padding": [2], "padding_mode": "reflect"}, {"padding": [3], "fill": 0.5},
        {"padding": [2, 1], "padding_mode": "edge"}, {"padding": [2], "padding_mode": "symmetric"},
    ),
    "permute_channels": ({"permutation": [2, 0, 1]},),
    "perspective": ({"startpoints": _START, "endpoints": _END, "interpolation": _BILINEAR},),
    "posterize": ({"bits": 3},),
    "resize": (
        {"size": [20, 24], "antialias": True}, {"size": [64, 90], "antialias": False},
        {"size": [16, 24], "interpolation": _NEAREST},
        {"size": [20, 24], "interpolation": InterpolationMode.BICUBIC, "antialias": True},
        {"size": [64, 96], "interpolation": InterpolationMode.NEAREST_EXACT},
    ),
    "resized_crop": ({"top": 3, "left": 5, "height": 16, "width": 24, "size": [32, 32], "antialias": True},),
    "rgb_to_grayscale": ({}, {"num_output_channels": 3}),
    "rotate": ({"angle": 30.0, "interpolation": _BILINEAR}, {"angle": 90.0, "expand": True}),
    "solarize": ({"threshold": 0.5},),
    "ten_crop": ({"size": [16, 16]},),
    "to_dtype": ({"dtype": torch.float32, "scale": True}, {"dtype": torch.uint8, "scale": True}),
    "uniform_temporal_subsample": ({"num_samples": 3},),
    "vertical_flip": ({},),
    "sanitize": ({},),
}  # fmt: skip
