"""Random weights whose answers depend on the input, and whose activations stay in range.

As they are built, some networks have a head of zeros (vision transformers), branches that are scaled by 0 or 1e-6, or a
head that sees nearly the same for every image: such answers agree with anything. One pass over some photographs sets
what normalises (batch normalisation's statistics), and scales and centres each output of the head, and of every layer
where nothing normalises: the data-dependent initialisation of Salimans and Kingma, Weight Normalization (2016), 3.
What goes into a rectifier has mean 1 rather than 0: most of it passes, and a deep network of random weights does not
amplify each rounding error a hundredfold, as no trained one does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from workloads.base import BadInputError
from workloads.images.photographs import load_photographs
from workloads.models.calls.examples import InputMaker
from workloads.models.calls.inputs import Inputs, put_in
from workloads.models.calls.taken import Taken
from workloads.models.heads import head_layers
from workloads.models.origins.loaded import LoadedModel
from workloads.runtime.kept import MAX_FILE_BYTES, Tensors, digest_of, kept, versions

N_IMAGES, N_OTHERS = 16, 4
"""Items that weights are settled by: fewer where each takes long, as of clips."""
SHIFT = 1.0
TINY = 1e-2
"""A constant scale under it hides the branch that it scales."""
_last: dict[Hashable, Tensors] = {}
"""What was changed of the last network, by all that decides it."""
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def settle(loaded: LoadedModel, name: str, make: InputMaker | None = None) -> None:
    """Change random weights in place, the same way each time; kept on disk and in memory where little was changed.

    Args:
        loaded: The model in evaluation mode, on the CPU, in float32.
        name: What it is called.
        make: Makes items for it, images of its size if not told; those that it is settled by are the same whatever the
            user's photographs and seed.
    """
    module = loaded.module
    image = Taken(shape=(3, loaded.input_size, loaded.input_size))
    make = make or InputMaker(photographs=load_photographs(), takes=(image,), mean=loaded.mean, std=loaded.std)
    drawn = (
        None if loaded.drawn is None or make.example is not None else (loaded.drawn, make.takes, make.mean, make.std)
    )
    if drawn in _last:
        put_in(module, _last[drawn])
        return
    make = dataclasses.replace(make, photographs=load_photographs(), seed=0)
    inputs = make(N_IMAGES if make.is_image else N_OTHERS)
    state = module.state_dict()
    told = digest_of([name, Path(__file__), *versions(), *inputs.tensors, *state, *state.values()])
    found = kept(told, lambda: _settled(module, inputs))
    put_in(module, found)
    if drawn is not None and sum(tensor.nbytes for tensor in found.values()) <= MAX_FILE_BYTES:
        _last.clear()
        _last[drawn] = {name: tensor.clone() for name, tensor in found.items()}


@torch.no_grad()
def _settled(module: nn.Module, inputs: Inputs) -> dict[str, torch.Tensor]:
    """Settle a module; the tensors of it that were changed."""
    changed = _without_zeros(module)
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    is_normalised = any("norm" in type(layer).__name__.lower() for layer in module.modules())
    scaled = [] if is_normalised else [n for n, layer in module.named_modules() if isinstance(layer, _LAYERS)]
    heads = scaled[-1:]
    with contextlib.suppress(BadInputError):  # a head of no kind that is known
        heads = list(head_layers(module))
    scaled += heads
    hooks = [
        module.get_submodule(n).register_forward_hook(
            functools.partial(_centre_and_scale, shift=0.0 if n in heads else SHIFT)
        )
        for n in dict.fromkeys(scaled)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over batches, here of one
        if layer.affine and not layer.bias.any():
            layer.bias.fill_(SHIFT)
        layer.train()
    try:
        inputs.call(module)
    finally:
        for hook in hooks:
            hook.remove()
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
    touched = {*changed, *(f"{n}.{part}" for n in scaled for part in ("weight", "bias"))}
    touched |= {f"{n}.{part}" for n, layer in module.named_modules() if layer in norms for part in layer.state_dict()}
    return {name: tensor for name, tensor in module.state_dict().items() if name in touched}


def _without_zeros(module: nn.Module) -> list[str]:
    """Draw weights that are all zero, and let no constant scale hide what it scales; names of what was changed."""
    generator, changed = torch.Generator().manual_seed(0), []
    for name, parameter in module.named_parameters():
        owner = module.get_submodule(name.rpartition(".")[0])
        low, high = float(parameter.min()), float(parameter.max())
        if name.endswith("bias") or low != high or abs(low) >= TINY:
            continue
        if isinstance(owner, _LAYERS):
            fan_in = math.prod(parameter.shape[1:]) or 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(fan_in))
        elif "norm" in type(owner).__name__.lower() or low != 0:
            parameter.fill_(1.0)
        else:
            continue  # such as positions, which are added
        changed.append(name)
    return changed


def _centre_and_scale(layer: Any, _inputs: Any, output: torch.Tensor, *, shift: float) -> torch.Tensor:
    """Bring each output of a layer to a mean and to standard deviation 1 over all inputs, by its weights."""
    channel = 1 if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) else output.ndim - 1
    others = [dim for dim in range(output.ndim) if dim != channel]
    mean, deviation = output.mean(others), output.std(others)
    scale = torch.where(deviation > 0, deviation, 1.0).reciprocal()
    weight, bias = layer.weight, layer.bias
    weight.mul_(scale.view(-1, *[1] * (weight.ndim - 1)))
    if bias is None:
        mean, shift = torch.zeros_like(mean), 0.0
    else:
        bias.sub_(mean).mul_(scale).add_(shift)
    per_channel = [-1 if dim == channel else 1 for dim in range(output.ndim)]
    return (output - mean.view(per_channel)) * scale.view(per_channel) + shift
