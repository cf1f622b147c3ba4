"""A network quantised as its layers and its device allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workloads.base import CellContext
from workloads.models.calls.flat import Flat, Named
from workloads.models.calls.inputs import Inputs, only_tensor
from workloads.models.quantising import graphs
from workloads.models.quantising.layers import is_fit, quantise_layers, work_of
from workloads.precision import PRECISIONS

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A quantised network.

    Attributes:
        module: To be called, without torch.compile.
        forward: What steps call, where torch.compile is not told as of any other network.
        weights_flops: FLOPs of a batch in layers of which the weights alone are quantised; None where more is.
        is_fixed: It takes batches of one size.
    """

    module: nn.Module
    forward: Callable[..., Any] | None = None
    weights_flops: float | None = None
    is_fixed: bool = False


def quantised(
    module: nn.Module, example: Inputs, calibration: Callable[[int], Inputs], context: CellContext
) -> Quantised:
    """Quantise a network for a cell; its module may be changed.

    Args:
        module: In evaluation mode, on the device, in the type of the rest.
        example: A batch, likewise.
        calibration: So many other items.
        context: The cell's.

    Raises:
        UnsupportedError: See ``quantise_layers`` and ``graphs.lowered``.
    """
    row = PRECISIONS[context.precision]
    is_int8 = row.quantised == "int8" and not row.is_weight_only
    if is_int8 and context.device.type == "cpu" and is_convolutional(module, example):
        flat = Flat(module, example).eval()
        graph, whole = graphs.lowered(flat, only_tensor(example), lambda n: only_tensor(calibration(n)))
        forward = graph if context.compile == "none" else graphs.compiled(whole, context.compile)
        named, its_module = (Named(run, flat.names) for run in (forward, graph))
        return Quantised(module=its_module, forward=named, is_fixed=True)
    flops = quantise_layers(module, example, context.precision)
    return Quantised(module=module, weights_flops=flops if row.is_weight_only else None)


def is_convolutional(module: nn.Module, example: Inputs | torch.Tensor) -> bool:
    """Whether convolutions do more of the work than linear layers that may be quantised one by one."""
    convolutions = work_of(module, example, lambda layer: isinstance(layer, _CONVOLUTIONS))[0]
    return convolutions > work_of(module, example, is_fit)[0]
