"""Convolutional networks in int8 on the CPU: exported, calibrated on photographs, converted and lowered to oneDNN.

PyTorch 2's way to quantise (PT2E) with torchao's quantiser for Inductor on x86. What is lowered calls int8 kernels by
itself; torch.compile makes them of the graph as it was before, and fuses what is between them.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from workloads.base import AHEAD, UnsupportedError
from workloads.models.quantising.layers import LEAST_SHARE
from workloads.models.quantising.library import ours, saturates
from workloads.runtime.torch_private import compile_options, frozen_weights, with_overloads
from workloads.runtime.words import in_short

_PT2E = "torchao.quantization.pt2e"
_MACHINES = ("x86_64", "AMD64")
N_CALIBRATED = 32
_CANNOT_COMPILE = ("BackendCompilerFailed", "InductorError")
_NOT_COMPILED = "torch.compile does not take the int8 network; --compile none runs it"


def lowered(
    module: nn.Module, example: torch.Tensor, calibration: Callable[[int], torch.Tensor]
) -> tuple[nn.Module, nn.Module]:
    """A network that takes batches of the example's shape, its convolutions and linear layers in int8.

    Args:
        module: In evaluation mode, in float32 on the CPU; left as it is.
        example: A batch.
        calibration: So many items, by which the ranges of activations are found.

    Returns:
        The network as it runs, and as torch.compile takes it, which fuses more than the lowering does.

    Raises:
        UnsupportedError: Another processor, torchao is missing or refuses, or there is nothing to quantise.
    """
    if platform.machine() not in _MACHINES:
        raise UnsupportedError(
            f"int8: convolutions are quantised on x86 processors alone, this is {platform.machine()}"
        )
    prepare, convert = (ours(f"{word}_pt2e", f"{_PT2E}.quantize_pt2e") for word in ("prepare", "convert"))
    lower = ours("lower_pt2e_quantized_to_x86", f"{_PT2E}.lowering")
    quantizer = _quantizer()
    items = calibration(N_CALIBRATED)
    try:
        # Strictly: only then do nodes say of which function they come, by which the quantiser finds them.
        prepared = prepare(torch.export.export(module, (example,), strict=True).module(), quantizer)
        with torch.no_grad(), with_overloads():
            for start in range(0, len(items), len(example)):
                prepared(items[torch.arange(start, start + len(example)) % len(items)])
            graph = convert(prepared)
            found, of_all = quantised_work(graph, example)
            if not found or found < LEAST_SHARE * of_all:
                told = (
                    f"{100 * found / max(1.0, of_all):.1f} % of the FLOPs are in layers that torchao's quantiser takes"
                )
                raise UnsupportedError(f"int8: nothing to quantise: {told}")
            made: nn.Module = _of_any_layout(lower(copy.deepcopy(graph), (example,)))
    except (RuntimeError, ValueError, AssertionError, NotImplementedError, TypeError) as error:
        raise UnsupportedError(f"int8: torchao cannot convert the network: {in_short(error)}") from error
    return made, graph


def _of_any_layout(graph: Any) -> Any:
    """A graph whose views copy where they must: what is lowered lays images out in its own way."""
    for node in graph.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    graph.recompile()
    return graph


def _quantizer() -> Any:
    module = f"{_PT2E}.quantizer.x86_inductor_quantizer"
    quantizer = ours("X86InductorQuantizer", module)()
    settings = ours("get_default_x86_inductor_quantization_config", module)
    quantizer.set_global(settings(reduce_range=saturates()))
    return quantizer


class _Work(torch.fx.Interpreter):
    """Runs a converted graph and adds up the FLOPs of its products."""

    found = of_all = 0.0

    def run_node(self, n: torch.fx.Node) -> Any:
        out = super().run_node(n)
        if n.op == "call_function" and str(n.target).startswith(("aten.conv", "aten.linear")):
            weight = self.fetch_args_kwargs_from_env(n)[0][1]
            flops = 2 * out.numel() / weight.shape[0] * weight.numel()
            self.of_all += flops
            self.found += flops if "dequantize" in str(n.args[0]) else 0.0
        return out


def quantised_work(graph: Any, example: torch.Tensor) -> tuple[float, float]:
    """Of a converted graph, FLOPs of products of what was quantised before, and of all products."""
    work = _Work(graph)
    work.run(example)
    return work.found, work.of_all


def compiled(graph: nn.Module, mode: str) -> Callable[..., Any]:
    """A quantised network through torch.compile, to which its weights are constants."""
    if mode == AHEAD:
        raise UnsupportedError("aot: a network that was exported to be quantised is not exported again")
    through = torch.compile(graph, options=compile_options(mode))

    def run(batch: torch.Tensor) -> Any:
        try:
            with frozen_weights():  # at any call it may be compiled anew
                return through(batch)
        except RuntimeError as error:
            if type(error).__name__ not in _CANNOT_COMPILE:
                raise
            raise UnsupportedError(f"int8: {_NOT_COMPILED}: {in_short(error, 160)}") from error

    return run
