"""Every kernel of torchvision.transforms.v2.functional that takes tensors, with arguments for each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workloads.operations.base import DTYPES, FLOAT_DTYPES, Operation, OperationsMissingError, Sample, Tolerance
from workloads.operations.transform_arguments import ARGUMENTS, CANVAS, LEVELS

_KINDS = ("image", "video", "mask", "bounding_boxes", "keypoints")
_NO_TENSOR_WORK = ("get_", "to_image", "to_pil_image", "to_tensor", "is_pure_tensor")
_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "image": ((3, *CANVAS), (2, 3, *CANVAS)),
    "video": ((4, 3, *CANVAS),),
    "mask": ((1, *CANVAS), (2, 5, *CANVAS)),
}
_SAME_TYPE = ("equalize", "posterize", "to_dtype", "convert_image_dtype", "jpeg")
"""Their answer for levels is not that for fractions times the largest level, so the CPU in the same type is right."""
_ONLY: dict[str, tuple[str, ...]] = {
    "jpeg": ("uint8",), "normalize": FLOAT_DTYPES, "gaussian_noise": (*FLOAT_DTYPES, "uint8"),
}  # fmt: skip
"""Types that torchvision defines the kernel for, where not for all."""
_ONE_LEVEL = Tolerance(absolute=1.0, relative=0.0)


def _image(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Smooth waves with a little noise, as a photograph has: fractions, or levels from 0 to the type's largest."""
    *lead, height, width = shape
    rows = torch.linspace(0, 6.0, height, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 9.0, width, dtype=torch.float64)[None, :]
    channels = torch.arange(1, 1 + int(torch.tensor(lead).prod()), dtype=torch.float64).reshape(*lead, 1, 1)
    waves = 0.5 + 0.4 * torch.sin(rows + channels) * torch.cos(columns - channels)
    pixels = (waves + 0.1 * torch.rand(shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    if dtype.is_floating_point:
        return pixels.to(dtype)
    return (pixels * torch.iinfo(dtype).max).round().to(dtype)


def _boxes(dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Eight boxes, left, top, right, bottom, inside of the canvas."""
    height, width = CANVAS
    corners = torch.rand(8, 2, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
    return (corners * torch.tensor([width, height], dtype=torch.float64)).flatten(1).to(dtype)


def _points(dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    height, width = CANVAS
    size = torch.tensor([width - 1, height - 1], dtype=torch.float64)
    return (torch.rand(8, 2, generator=generator, dtype=torch.float64) * size).to(dtype)


def _in_levels(kwargs: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """Arguments that are pixel values, as the type has them; given as fractions."""
    if dtype.is_floating_point:
        return {k: v.to(dtype) if k == "v" else v for k, v in kwargs.items()}
    largest = torch.iinfo(dtype).max
    scaled = {k: (v * largest).round() if isinstance(v, torch.Tensor) else round(v * largest)
              for k, v in kwargs.items() if k in LEVELS}  # fmt: skip
    return {**kwargs, **{k: v.to(dtype) if isinstance(v, torch.Tensor) else v for k, v in scaled.items()}}


def _by_fractions(kernel: Callable[..., Any], dtype: torch.dtype, fractions: dict[str, Any]) -> Callable[..., Any]:
    """The right answer for whole levels: the kernel in float64 on fractions of the largest level, in levels again."""
    largest = torch.iinfo(dtype).max
    exact = {k: v.double() if isinstance(v, torch.Tensor) else v for k, v in fractions.items()}

    def reference(image: torch.Tensor, **_: Any) -> Any:
        result = kernel(image.double() / largest, **exact)
        levels = [(r * largest).round() for r in (result if isinstance(result, (tuple, list)) else [result])]
        return levels if isinstance(result, (tuple, list)) else levels[0]

    return reference


@dataclass(frozen=True, kw_only=True)
class TransformOperation(Operation):
    """A kernel.

    Attributes:
        stem: The name without what it takes.
        kernel: What is called.
        kind: What it takes: image, video, mask, bounding_boxes or keypoints.
        arguments: What it is called with, one after the other.
    """

    stem: str
    kernel: Callable[..., Any]
    kind: str
    arguments: Sequence[dict[str, Any]]
    source: str = "transforms"

    def _is_levels(self, dtype: str) -> bool:
        """Whether it works on whole pixels, rather than on fractions or on labels of masks."""
        return self.kind in {"image", "video"} and dtype not in FLOAT_DTYPES

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        """One level of whole pixels, as torchvision's own tests allow."""
        return _ONE_LEVEL if self._is_levels(dtype) else super().tolerance(dtype, device_type)

    def samples(self, dtype: str) -> Iterator[Sample]:
        wanted = DTYPES[dtype]
        for given in self.arguments:
            kwargs = self._accepted(given)
            is_by_fractions = self._is_levels(dtype) and self.stem not in _SAME_TYPE
            reference = _by_fractions(self.kernel, wanted, kwargs) if is_by_fractions else None
            for data in self._inputs(wanted):
                yield Sample(function=self.kernel, args=(data,), kwargs=_in_levels(kwargs, wanted), reference=reference)

    def _inputs(self, dtype: torch.dtype) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        if self.kind == "mask":
            return [torch.randint(0, 6, shape, generator=generator).to(dtype) for shape in _SHAPES["mask"]]
        if self.kind == "bounding_boxes":
            return [_boxes(dtype, generator).requires_grad_()]
        if self.kind == "keypoints":
            return [_points(dtype, generator).requires_grad_()]
        shapes = ((3, *CANVAS),) if self.stem == "jpeg" else _SHAPES[self.kind]
        images = [_image(shape, dtype, generator) for shape in shapes]
        return [image.requires_grad_() for image in images] if dtype.is_floating_point else images

    def _accepted(self, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments that this kernel has, with the ones that boxes and points need beside."""
        from torchvision.tv_tensors import BoundingBoxFormat

        names = inspect.signature(self.kernel).parameters
        beside = {"format": BoundingBoxFormat.XYXY, "old_format": BoundingBoxFormat.XYXY, "canvas_size": CANVAS}
        return {k: v for k, v in {**beside, **given}.items() if k in names}


def _kind_of(name: str) -> str | None:
    if name == "convert_bounding_box_format":
        return "bounding_boxes"
    return next((kind for kind in _KINDS if name.endswith(f"_{kind}")), None)


@functools.cache
def transform_operations() -> tuple[TransformOperation, ...]:
    """Every kernel by name.

    Raises:
        OperationsMissingError: If this torchvision has no such kernels, or one that this file has no arguments for.
    """
    try:
        from torchvision.transforms.v2 import functional
    except ImportError as error:
        raise OperationsMissingError(f"torchvision lacks transforms.v2.functional ({error})") from error
    found = []
    for name in sorted(vars(functional)):
        kind = _kind_of(name)
        stem = name.removesuffix(f"_{kind}")
        arguments = ARGUMENTS.get(stem)
        if kind is None or name.startswith(_NO_TENSOR_WORK) or not arguments:
            continue  # without arguments: newer than these; a test names those
        dtypes = _ONLY.get(stem) or (tuple(DTYPES) if kind in _SHAPES else FLOAT_DTYPES)
        operation = TransformOperation(
            name=name, stem=stem, kernel=getattr(functional, name), kind=kind, arguments=arguments, dtypes=dtypes,
            family=f"v2 {kind.replace('_', ' ')} kernels",
        )  # fmt: skip
        found.append(operation)
    return tuple(found)
