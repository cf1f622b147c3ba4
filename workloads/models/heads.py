"""A classifier's head: its last layer, linear or a convolution, whose outputs are the classes; of some networks two."""

from __future__ import annotations

import math
import re
from typing import Any

from torch import nn

from workloads.base import BadInputError
from workloads.models.calls.inputs import Inputs

Head = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NOTED = "_accelsweep_head"
"""The attribute in which a network carries the name of its head; a name goes along when it is copied."""
_NAMED = re.compile("head|classif")
"""In the names of the heads of a network that has several."""


def last_layer(module: nn.Module) -> tuple[str, Head]:
    """Name and layer of a classifier's head: what the model itself calls so (timm's do), else its last such layer.

    That is the one defined last, or called last where ``note_last_called`` has looked.

    Raises:
        BadInputError: If the model has none.
    """
    if _is_headless(module):
        raise BadInputError(f"--model: {type(module).__name__} is built without a head (num_classes=0)")
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, Head)]
    own = getattr(module, "get_classifier", None)
    told = own() if callable(own) else None
    noted = getattr(module, _NOTED, None)
    if noted is not None:
        told = dict(layers).get(noted)
    for name, layer in reversed(layers):
        if layer is told or not isinstance(told, Head):
            return name, layer
    raise BadInputError(f"--model: {type(module).__name__} has no linear or convolutional layer at its end to train")


def head_layers(module: nn.Module) -> dict[str, Head]:
    """Every head by name, the one of ``last_layer`` last: all that answer, as of networks that were distilled.

    Those are called heads or classifiers and tell as many classes apart.

    Raises:
        BadInputError: If the model has none.
    """
    name, layer = last_layer(module)
    others = {
        other: alike for other, alike in module.named_modules()
        if isinstance(alike, Head) and n_outputs(alike) == n_outputs(layer) and _NAMED.search(other)
    }  # fmt: skip
    others.pop(name, None)
    return {**(others if _NAMED.search(name) else {}), name: layer}


def _is_headless(module: nn.Module) -> bool:
    """Whether a network of timm's, whose last layer is no head then, is built to give features alone."""
    return callable(getattr(module, "reset_classifier", None)) and getattr(module, "num_classes", None) == 0


def note_last_called(module: nn.Module, inputs: Inputs) -> None:
    """Note which linear or convolutional layer is called last, for a network whose author defines layers in any order.

    Args:
        module: The network.
        inputs: What it is called with.
    """
    if _is_headless(module):
        return
    called: list[str] = []
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, layer in module.named_modules() if isinstance(layer, Head)
    ]  # fmt: skip
    try:
        inputs.call(module)
    finally:
        for hook in hooks:
            hook.remove()
    if called:
        setattr(module, _NOTED, called[-1])


def n_outputs(layer: Head) -> int:
    """Classes that a head tells apart."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def with_classes(module: nn.Module, num_classes: int | None) -> nn.Module:
    """The model with a new, random head for so many classes, unless its own is for as many; None for its own."""
    if num_classes is None:
        return module
    if _is_headless(module):
        module.reset_classifier(num_classes)  # type: ignore[operator]
        return module
    for name, layer in head_layers(module).items():
        if n_outputs(layer) != num_classes:
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, _like(layer, num_classes))
    return module


def _like(layer: Head, num_classes: int) -> Head:
    has_bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, num_classes, bias=has_bias)
    kind: Any = next(kind for kind in _CONVOLUTIONS if isinstance(layer, kind))
    made: Head = kind(
        layer.in_channels, num_classes, layer.kernel_size, stride=layer.stride, padding=layer.padding,
        dilation=layer.dilation, groups=math.gcd(layer.groups, num_classes), bias=has_bias,
        padding_mode=layer.padding_mode,
    )  # fmt: skip
    return made
