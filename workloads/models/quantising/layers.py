"""Linear layers in int8 or fp8: which there are, how much of a network's work they do, and their exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's usual name)

from workloads.base import UnsupportedError
from workloads.models.calls.inputs import Inputs
from workloads.models.quantising.library import ours, recipe_of
from workloads.precision import PRECISIONS
from workloads.runtime.memory import parts_of
from workloads.runtime.without_compiler import flop_counter
from workloads.runtime.words import in_short

LEAST_SHARE = 0.01
"""Of the network's FLOPs, under which what is quantised is called nothing."""
MULTIPLE = 16
"""Kernels of 8-bit products take columns in such multiples, and on a GPU, of whole numbers, more rows than that."""


class SelfAttention(nn.Module):
    """``nn.MultiheadAttention`` of a sequence with itself, its projections linear layers of their own.

    torch's own holds the first three as one bare parameter, which nothing that looks for layers finds.
    """

    batch_first = False
    """Items do come first; with True ``nn.TransformerEncoderLayer`` reads torch's parameters and does not call it."""

    def __init__(self, given: nn.MultiheadAttention) -> None:
        super().__init__()
        width, self._n_heads = given.embed_dim, given.num_heads
        self.first = nn.Linear(width, 3 * width, bias=given.in_proj_bias is not None)
        self.first.weight, self.first.bias = given.in_proj_weight, given.in_proj_bias
        self.last = nn.Linear(width, width, bias=given.out_proj.bias is not None)
        self.last.weight, self.last.bias = given.out_proj.weight, given.out_proj.bias

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, need_weights: bool = True, **more: Any
    ) -> tuple[torch.Tensor, None]:
        """Items x positions x width; UnsupportedError for what else torch's own can do."""
        if query is not key or key is not value or any(v is not None and v is not False for v in more.values()):
            raise UnsupportedError("quantised attention is of a sequence with itself, without a mask")
        n, length, width = query.shape
        parts = self.first(query).view(n, length, 3, self._n_heads, width // self._n_heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts.unbind())
        return self.last(mixed.transpose(1, 2).reshape(n, length, width)), None


def open_attention(module: nn.Module) -> None:
    """Put ``SelfAttention`` in the place of every attention that it can stand for."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.MultiheadAttention) and child.batch_first and child.in_proj_weight is not None \
                    and child.bias_k is None and not child.add_zero_attn:  # fmt: skip
                setattr(parent, name, SelfAttention(child))


def is_fit(layer: nn.Module) -> bool:
    """Whether there are 8-bit kernels for a layer."""
    return isinstance(layer, nn.Linear) and layer.in_features % MULTIPLE == layer.out_features % MULTIPLE == 0


def work_of(
    module: nn.Module, example: Inputs | torch.Tensor, is_chosen: Callable[[nn.Module], bool]
) -> tuple[float, float]:
    """FLOPs of a forward pass: of the linear and convolutional layers chosen, and of all that torch counts."""
    flops = 0.0

    def count(layer: nn.Module, _: tuple[Any, ...], output: torch.Tensor) -> None:
        nonlocal flops
        weight: Any = layer.weight
        flops += 2 * output.numel() / weight.shape[0] * weight.numel()

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if is_chosen(layer)]
    try:
        with torch.no_grad(), flop_counter() as counted:
            Inputs.of(example).call(module)
    finally:
        for hook in hooks:
            hook.remove()
    return flops, float(counted.get_total_flops())


def few_rows(module: nn.Module, example: Inputs | torch.Tensor) -> set[nn.Module]:
    """Linear layers whose inputs have ``MULTIPLE`` rows or fewer: those that see an item once, of a small batch."""
    few: set[nn.Module] = set()

    def look(layer: nn.Module, _: tuple[Any, ...], output: torch.Tensor) -> None:
        if output.numel() // output.shape[-1] <= MULTIPLE:
            few.add(layer)

    hooks = [layer.register_forward_hook(look) for layer in module.modules() if is_fit(layer)]
    try:
        with torch.no_grad():
            Inputs.of(example).call(module)
    finally:
        for hook in hooks:
            hook.remove()
    return few


def quantise_layers(module: nn.Module, example: Inputs | torch.Tensor, precision: str) -> float:
    """Exchange the weights of a network's linear layers, in place, on their device and in the type of the rest.

    Args:
        module: In evaluation mode.
        example: An input of it.
        precision: One that is quantised.

    Returns:
        FLOPs of a forward pass of the example in the layers that hold such weights now.

    Raises:
        UnsupportedError: torchao is missing or refuses, or there is nothing to quantise.
    """
    quantize, row = ours("quantize_"), PRECISIONS[precision]
    open_attention(module)
    takes_few = Inputs.of(example).tensors[0].device.type == "cpu" or row.is_weight_only or row.quantised != "int8"
    few = set() if takes_few else few_rows(module, example)
    within, of_all = work_of(module, example, lambda layer: is_fit(layer) and layer not in few)
    if not within or within < LEAST_SHARE * of_all:
        told = f"{100 * within / max(1.0, of_all):.1f} % of the FLOPs are in linear layers"
        raise UnsupportedError(f"{precision}: nothing to quantise: {told} whose sizes are multiples of {MULTIPLE}")
    try:
        quantize(module, recipe_of(precision), filter_fn=lambda layer, name: is_fit(layer) and layer not in few)
    except (AssertionError, NotImplementedError, TypeError, ValueError) as error:
        raise UnsupportedError(f"{precision}: torchao refuses: {in_short(error)}") from error
    held = getattr(torch, row.quantised or "")
    return work_of(module, example, lambda layer: is_fit(layer) and held in types_within(layer.weight))[0]


def types_within(tensor: Any) -> set[torch.dtype]:
    """The types of those."""
    return {part.dtype for part in parts_of(tensor)}
