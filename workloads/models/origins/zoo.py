"""torchvision's networks that are no classifiers in float32: each with what it takes, or why it cannot be run."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workloads.models.calls.taken import Taken
from workloads.models.origins.loaded import IMAGENET_MEAN, IMAGENET_STD, LoadedModel
from workloads.models.origins.published import with_weights_or_without
from workloads.runtime.without_compiler import import_torchvision

torchvision = import_torchvision()
HALF, ZERO, ONE = (0.5,) * 3, (0.0,) * 3, (1.0,) * 3
N_FRAMES = 16
"""What the video networks were trained on, and the fewest that all of them take."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What networks of a kind take.

    Attributes:
        size: Height and width in pixels where the published weights name none.
        takes: Their arguments for a size.
        mean: Of pixel values from 0 to 1, where the published weights name none.
        std: Likewise.
        published: What their weights were trained on.
    """

    size: int
    takes: Callable[[int], tuple[Taken, ...]]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    published: str = "coco"


def _images(size: int, *, n: int = 1, is_list: bool = False) -> tuple[Taken, ...]:
    return (Taken(shape=(3, size, size), is_list=is_list),) * n


# Detectors normalise their images themselves and scale them to some 800 pixels; RAFT takes two images of any size from
# 128 that 8 divides, whose pixels lie between -1 and 1.
_KINDS = {
    "segmentation": _Kind(size=520, takes=_images),
    "detection": _Kind(size=640, takes=functools.partial(_images, is_list=True), mean=ZERO, std=ONE),
    "video": _Kind(
        size=112, takes=lambda size: (Taken(shape=(3, N_FRAMES, size, size)),), published="kinetics",
    ),
    "optical_flow": _Kind(size=256, takes=functools.partial(_images, n=2), mean=HALF, std=HALF, published="flow"),
    "quantization": _Kind(size=224, takes=_images, published="imagenet"),
}  # fmt: skip


@functools.cache
def names() -> tuple[str, ...]:
    """Every network of torchvision's that is of one of these kinds."""
    return tuple(
        name for kind in _KINDS for name in torchvision.models.list_models(module=getattr(torchvision.models, kind))
    )


class WithHeads(nn.Module):
    """A detector that answers with its detections and with what they are chosen from.

    How many boxes there are, and in what order, hangs on the last bit of a score; the head's own numbers, of the region
    proposals where there are two stages, can be compared.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.found: Any = None
        head = detector.get_submodule("rpn.head" if hasattr(detector, "rpn") else "head")
        head.register_forward_hook(self._note)

    def _note(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        self.found = output

    def forward(self, images: list[torch.Tensor]) -> dict[str, Any]:
        detections = self.detector(images)
        found, self.found = self.found, None
        return {"detections": detections, "head": found}


def build(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    """A network of these kinds; those that are trained for other classes are not among what is trained here."""
    builder = torchvision.models.get_model_builder(name)
    kind_name = builder.__module__.split(".")[-2]
    kind, is_quantised = _KINDS[kind_name], kind_name == "quantization"
    more: dict[str, Any] = {"quantize": True} if is_quantised else {}
    untrained = (
        {**more, "weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else more
    )
    with warnings.catch_warnings(action="ignore"):  # torchvision quantises by what torch will lose
        module, weights = with_weights_or_without(
            name,
            pretrained,
            lambda is_trained: builder(weights="DEFAULT", **more) if is_trained else builder(**untrained),
        )
    if weights != "random":
        weights = kind.published
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    size = _size(transform) or kind.size
    mean, std = (tuple(getattr(transform, part, getattr(kind, part))) for part in ("mean", "std"))
    return LoadedModel(
        module=WithHeads(module) if kind_name == "detection" else module, weights=weights, input_size=size,
        takes=kind.takes(size), mean=mean, std=std, is_quantised=is_quantised,
    )  # fmt: skip


def _size(transform: Any) -> int | None:
    """The height of what a network was trained on, where the transform of its weights says so."""
    sizes = getattr(transform, "crop_size", None) or getattr(transform, "resize_size", None)
    return sizes[0] if sizes else None
