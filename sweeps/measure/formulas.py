"""FLOPs of operations that ``torch.utils.flop_counter`` counts otherwise, or not at all; two a multiply-add."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from workloads.runtime.torch_private import leaves_of


def convolution_backward_flops(
    grad_out_shape: list[int], x_shape: list[int], w_shape: list[int], _bias: Any, _stride: Any, _padding: Any,
    _dilation: Any, transposed: bool, _output_padding: Any, _groups: int, output_mask: list[bool], **_: Any,
) -> int:  # fmt: skip
    """FLOPs of a convolution's backward pass: as many as forward for each gradient asked for.

    Replaces torch's own formula, which leaves the groups out and counts a depthwise layer's weight gradient
    as if every channel met every other: thirteen times too much for EfficientNet.
    """
    positions = math.prod(x_shape if transposed else grad_out_shape)
    forward = 2 * positions * math.prod(w_shape[1:])
    return forward * (int(output_mask[0]) + int(output_mask[1]))


def scaled_product_flops(query: list[int], key: list[int], *_: Any, **__: Any) -> int:
    """FLOPs of scores and what they weigh, of items x heads x positions x width; on the CPU torch counts neither."""
    return 4 * math.prod(query) * int(key[-2])


def scaled_product_backward_flops(_grad: Any, query: list[int], key: list[int], *more: Any, **__: Any) -> int:
    """FLOPs of the five products of its backward pass, of which one computes the scores again."""
    return 10 * math.prod(query) * int(key[-2])


def attention_flops(query: list[int], key: list[int], _value: Any, width: int, *_: Any, **__: Any) -> int:
    """FLOPs of attention as one fused operation: four projections, the scores and what they weigh."""
    items, n_queries, n_keys = query[0], query[1], key[1]
    return 2 * items * width * (width * (2 * n_queries + 2 * n_keys) + 2 * n_queries * n_keys)


def encoder_layer_flops(tokens: list[int], width: int, *more: Any, **_: Any) -> int:
    """FLOPs of a transformer's encoder layer as one fused operation: its attention and the two products behind it."""
    n_tokens, wide = math.prod(tokens[:-1]), int(more[12][0])  # the first of the two weights, wide x width
    return attention_flops(tokens, tokens, tokens, width) + 4 * n_tokens * width * wide


def whole_product_flops(a: list[int], b: list[int], *_: Any, **__: Any) -> int:
    """FLOPs of a product of two matrices of 8-bit numbers."""
    return 2 * math.prod(a) * int(b[-1])


def quantised_layer_flops(
    _x: Any, _scale: Any, _zero: Any, weight: list[int], *_: Any, out_shape: Any, **__: Any
) -> int:
    """FLOPs of a quantised convolution or linear layer of oneDNN, which give items x channels x places or the last."""
    channels = out_shape[1] if len(weight) > 2 else out_shape[-1]
    return 2 * int(math.prod(out_shape)) * math.prod(weight) // int(channels)


def eight_bit_flops(args: Any, kwargs: Any, out: Any) -> int:
    """FLOPs of a call of such a layer; 1 if unknown.

    A compiled graph has other arguments than the operation: in both the inputs come before the weights.
    """
    whole = [a for a in leaves_of((args, kwargs)) if isinstance(a, torch.Tensor) and not a.dtype.is_floating_point]
    weights = [a for a in whole[1:] if a.dtype == torch.int8 and a.ndim > 1]
    if not weights or not isinstance(out, torch.Tensor):
        return 1
    return max(1, quantised_layer_flops(0, 0, 0, list(weights[0].shape), out_shape=list(out.shape)))


FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: convolution_backward_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: scaled_product_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: scaled_product_backward_flops,
    torch.ops.aten._int_mm: whole_product_flops,
    torch.ops.aten._native_multi_head_attention: attention_flops,
    torch.ops.aten._transformer_encoder_layer_fwd: encoder_layer_flops,
}
"""By operation, called with shapes in the place of tensors; for ``FlopCounterMode``'s ``custom_mapping``."""
_OF_ONEDNN = ("qconv_pointwise", "qconv2d_pointwise", "qlinear_pointwise")
FORMULAS |= {
    getattr(torch.ops.onednn, name): quantised_layer_flops for name in _OF_ONEDNN if hasattr(torch.ops.onednn, name)
}


def product_flops(operation: Any, args: Any, kwargs: Any, out: Any) -> int | None:
    """FLOPs of a call, 1 at least; None for one that is no product.

    Args:
        operation: An overload packet, or what is none.
        args: Its arguments, among them tensors, which may be fake.
        kwargs: Those that were named.
        out: What it gave.
    """
    formula = FORMULAS.get(operation)
    known = flop_registry.get(operation)
    name = str(operation)
    if formula is None and known is None:
        return 1 if name.startswith("mkldnn._") and ("conv" in name or "linear" in name) else None
    try:
        if formula is not None:
            return max(1, formula(*_shapes(args), **{"out_shape": _shapes([out])[0], **kwargs}))
        return max(1, int(known(*args, **kwargs, out_val=out)))  # type: ignore[misc]
    except (TypeError, ValueError, RuntimeError, AssertionError, IndexError):
        return 1  # of an unknown number it is still a product


def _shapes(args: Any) -> list[Any]:
    return [list(a.shape) if isinstance(a, torch.Tensor) else a for a in args]
