"""Making a trained network ready for inference alone: batch normalisation folded away, weights in one precision.

Folding is torch's own (``torch.nn.utils.fusion``); here it is found out where it may be done, by running the network
once: a normalisation whose input is what a convolution has just put out. A network that uses such an output a second
time would come out wrong; the harness compares every answer with the reference and would say so.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from workloads.models.calls.inputs import Inputs, cast
from workloads.precision import compute_dtype

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def foldable_pairs(module: nn.Module, example: Inputs | torch.Tensor) -> list[tuple[str, str]]:
    """Names of each convolution and of the batch normalisation that alone follows it, each called once.

    Args:
        module: In evaluation mode.
        example: An input of it, a batch of one item at least.
    """
    made: dict[int, tuple[str, torch.Tensor]] = {}  # the outputs are kept, so that no number is given twice
    pairs: list[tuple[str, str]] = []
    calls = Counter[str]()

    def after_convolution(name: str, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        made[id(output)] = (name, output)
        calls[name] += 1

    def before_norm(name: str, _module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        calls[name] += 1
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], name))

    hooks = []
    for name, layer in module.named_modules():
        if isinstance(layer, _CONVOLUTIONS):
            hooks.append(layer.register_forward_hook(functools.partial(after_convolution, name)))
        elif isinstance(layer, _NORMS):
            hooks.append(layer.register_forward_pre_hook(functools.partial(before_norm, name)))
    try:
        with torch.no_grad():
            Inputs.of(example).call(module)
    finally:
        for hook in hooks:
            hook.remove()
    followed = [conv for conv, _ in pairs]
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == followed.count(conv) == 1]


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, layer)


def freeze(module: nn.Module, example: Inputs | torch.Tensor, precision: str) -> int:
    """Fold the network's batch normalisation into its convolutions and hold its weights in a precision, in place.

    Args:
        module: On any device, in float32; evaluation mode is set.
        example: An input of it on that device.
        precision: Its ``compute_dtype`` is what inputs must have afterwards.

    Returns:
        How many normalisations were folded.
    """
    module.eval()
    pairs = foldable_pairs(module, example)
    for conv, norm in pairs:
        folded = fuse_conv_bn_eval(module.get_submodule(conv), module.get_submodule(norm))  # type: ignore[type-var,arg-type]
        _replace(module, conv, folded)
        _replace(module, norm, nn.Identity())
    module.requires_grad_(False)
    cast(module, compute_dtype(precision))
    return len(pairs)
