"""The trusted answer: a network on the CPU, in float64 or float32 by its own work, kept from one sweep to the next."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 (the field's usual name)
from torch.overrides import TorchFunctionMode

from workloads.models import rounding
from workloads.models.calls import answers
from workloads.models.calls.answers import Answers, Layout, joined
from workloads.models.calls.inputs import Inputs
from workloads.models.rounding import products_apart, rounded_answer
from workloads.runtime.kept import digest_of, kept, versions
from workloads.runtime.without_compiler import flop_counter

MAX_DOUBLE_FLOP = 10e9
"""Networks of more for an item are computed in float32: so the type is the network's, and not the machine's load."""
MAX_COMPARED_FLOP, LEAST_COMPARED = 4e12, 2
"""Of all items that are compared, on the CPU: of a network for clips that is a minute's work; and the fewest items."""
N_ROUNDED, MAX_ROUNDED_FLOP = 8, 5e11
"""Items computed with rounded products too, and of all of them, since rounding takes several times as long."""
BATCH = 8
N_OTHER = 3
"""Items of a second answer, which shows where the items are in it."""
_CONV2D = ("x", "weight", "bias", "stride", "padding", "dilation", "groups")


def _pair(value: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def grouped_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    """``conv2d`` as one batched matrix product: torch's own in float64 goes through the groups one by one on the CPU.

    Args:
        x: Items x channels x height x width.
        weight: Channels out x channels in of a group x height x width.
        bias: Channels out, or None.
        stride: A number, or one for each direction; likewise ``padding`` (of zeros) and ``dilation``.
        padding: Zeros on either side.
        dilation: Distance between neighbouring weights.
        groups: Into how many both kinds of channels are divided.
    """
    strides, paddings, dilations = _pair(stride), _pair(padding), _pair(dilation)
    if groups == x.shape[1] == len(weight):
        out = depthwise_conv2d(x, weight, strides, paddings, dilations)
        return out if bias is None else out.add_(bias[:, None, None])
    kernel = (weight.shape[-2], weight.shape[-1])
    patches = F.unfold(x, kernel, dilations, paddings, strides)
    products = weight.reshape(groups, len(weight) // groups, -1) @ patches.reshape(
        len(x), groups, -1, patches.shape[-1]
    )
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[-2:], paddings, dilations, kernel, strides, strict=True)
    ]
    out = products.reshape(len(x), len(weight), *sizes)
    return out if bias is None else out + bias[:, None, None]


def depthwise_conv2d(
    x: torch.Tensor, weight: torch.Tensor, strides: tuple[int, int], paddings: tuple[int, int],
    dilations: tuple[int, int],
) -> torch.Tensor:  # fmt: skip
    """A convolution of each channel by itself, as a sum of shifted images: a few times as fast in float64."""
    x = F.pad(x, (paddings[1], paddings[1], paddings[0], paddings[0]))
    kernel = (weight.shape[-2], weight.shape[-1])
    sizes = [
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(x.shape[-2:], dilations, kernel, strides, strict=True)
    ]
    out = x.new_zeros(len(x), x.shape[1], *sizes)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilations[0], j * dilations[1]
            rows = slice(top, top + (sizes[0] - 1) * strides[0] + 1, strides[0])
            columns = slice(left, left + (sizes[1] - 1) * strides[1] + 1, strides[1])
            out.addcmul_(x[:, :, rows, columns], weight[:, 0, i, j, None, None])
    return out


class _Exact(TorchFunctionMode):
    """Computes grouped convolutions as above."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.conv2d:
            given = {**dict(zip(_CONV2D, args, strict=False)), **(kwargs or {})}
            given["x"] = given.pop("input", given.get("x"))
            if given.get("groups", 1) > 1 and not isinstance(given.get("padding"), str) and given["x"].ndim == 4:
                return grouped_conv2d(**given)
        return func(*args, **(kwargs or {}))


def outputs_in_double(module: torch.nn.Module, inputs: Inputs, layout: Layout) -> Answers | None:
    """Outputs in float64; None where the model cannot compute so. Its weights are float32's again afterwards."""
    outputs: list[Answers] = []
    module.double()
    try:
        for items in inputs.to(dtype=torch.float64).split(BATCH):
            with torch.inference_mode(), _Exact():
                outputs.append(layout.items_first(items.call(module)))
    except RuntimeError:  # a constant in float32 inside of the model does not meet float64
        return None
    finally:
        module.float()
    return joined(outputs) if all(t.dtype == torch.float64 for t in outputs[0].values()) else None


def outputs_in_single(module: torch.nn.Module, inputs: Inputs, layout: Layout) -> Answers:
    """Outputs in float32."""
    with torch.inference_mode():
        found = joined([layout.items_first(items.call(module)) for items in inputs.split(BATCH)])
    return {name: output.float() for name, output in found.items()}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a network should answer.

    Attributes:
        outputs: By name, items first, as many as ``MAX_COMPARED_FLOP`` allows; their type says what computed them.
        rounded: Of the first ``N_ROUNDED`` items, or as many as ``MAX_ROUNDED_FLOP`` allows, with operations rounded to
            ten stored bits; float32.
        layout: Where the items are in the network's answers.
    """

    outputs: Answers
    rounded: Answers
    layout: Layout


_known: dict[Hashable, Reference] = {}


def reference_of(
    network: Hashable, module: torch.nn.Module, inputs: Inputs | torch.Tensor, code: str | None = None
) -> Reference:
    """The reference for a network on the CPU: from this process, from the disk, or computed now.

    Args:
        network: Everything that decides the module's weights and inputs; equal values mean equal ones.
        module: In evaluation mode, with float32 weights, on the CPU; its weights keep their values.
        inputs: In float32, on the CPU.
        code: What tells the module's code from other code of the same layers.
    """
    if network not in _known:
        inputs, state = Inputs.of(inputs), module.state_dict()
        files = (Path(__file__), Path(rounding.__file__), Path(answers.__file__))
        given = (repr(inputs.args), repr(inputs.kwargs), *inputs.tensors)
        name = digest_of([*files, *versions(), str(module), code, *given, *state, *state.values()])
        found = kept(name, lambda: _computed(module, inputs))
        _known.clear()
        _known[network] = _unpacked(found)
    return _known[network]


def _computed(module: torch.nn.Module, inputs: Inputs) -> dict[str, torch.Tensor]:
    fewer = inputs[: min(N_OTHER, len(inputs) - 1)] if len(inputs) > 1 else inputs[torch.tensor([0, 0])]
    with torch.inference_mode(), products_apart(), flop_counter() as flops:
        answer = fewer.call(module)
    per_item = flops.get_total_flops() / len(fewer)
    n_rounded = max(LEAST_COMPARED, min(N_ROUNDED, len(inputs), int(MAX_ROUNDED_FLOP / max(1.0, per_item))))
    few = inputs[: n_rounded + (n_rounded == len(fewer))]  # another number, which shows where the items are
    rounded = rounded_answer(module, few)
    layout = Layout.of((rounded, len(few)), (answer, len(fewer)))
    inputs = inputs[: max(LEAST_COMPARED, int(MAX_COMPARED_FLOP / max(1.0, per_item)))]
    is_cheap = per_item <= MAX_DOUBLE_FLOP
    outputs = outputs_in_double(module, inputs, layout) if is_cheap else None
    if outputs is None:
        outputs = outputs_in_single(module, inputs, layout)
    packed = {f"{_DIM}{name}": torch.tensor(dim) for name, dim in layout.dims.items()}
    packed |= {f"{_LEFT_OUT}{name}": torch.empty(0) for name in layout.left_out}
    packed |= {
        f"{_ROUNDED}{name}": output[: len(inputs)].float() for name, output in layout.items_first(rounded).items()
    }
    return {_LISTED: torch.tensor(layout.is_listed), **packed, **{f"{_OUTPUT}{k}": v for k, v in outputs.items()}}


_LISTED, _DIM, _LEFT_OUT, _ROUNDED, _OUTPUT = "listed", "dim ", "left out ", "rounded ", "output "
"""What the tensors of a reference are kept under."""


def _unpacked(kept_tensors: Mapping[str, torch.Tensor]) -> Reference:
    def of(prefix: str) -> Answers:
        return {name.removeprefix(prefix): t for name, t in kept_tensors.items() if name.startswith(prefix)}

    dims = {name: int(dim) for name, dim in of(_DIM).items()}
    layout = Layout(dims=dims, is_listed=bool(kept_tensors[_LISTED]), left_out=tuple(of(_LEFT_OUT)))
    return Reference(outputs=of(_OUTPUT), rounded=of(_ROUNDED), layout=layout)
