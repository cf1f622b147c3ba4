"""Batch normalisation in a training: whether it can train on a batch, of whose variance it must tell, and how fast."""

from __future__ import annotations

import functools

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from workloads.base import BatchTooSmallError


def set_momentum(module: nn.Module, momentum: float) -> None:
    """Let running statistics follow the batches' by this share of each."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum


@torch.no_grad()
def check_batch_norm(module: nn.Module, inputs: torch.Tensor) -> None:
    """Refuse a batch that some layer would see as a single value per channel, before anything is compiled for it.

    The rule is that of ``torch.nn.functional.batch_norm``: items times positions must exceed one in training. It is
    asked of the module's own forward pass, in evaluation, which needs no variance and leaves the statistics alone.

    Args:
        module: The network; comes back in evaluation mode.
        inputs: A batch, items x channels x height x width, on the module's device.

    Raises:
        BatchTooSmallError: Names the first such layer.
    """
    narrow: list[str] = []

    def look(name: str, _: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        (values,) = arguments
        if values.numel() == values.shape[1]:
            narrow.append(name)

    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(functools.partial(look, name)) for name, layer in layers]
    try:
        module.eval()(inputs.to(next(module.parameters()).dtype))
    finally:
        for hook in hooks:
            hook.remove()
    if narrow:
        raise BatchTooSmallError(
            f"needs --batch-size 2, an --image-size over {inputs.shape[-1]} or --tune head: "
            f"batch normalisation ({narrow[0]}) has one value per channel to train on"
        )
