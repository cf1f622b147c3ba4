"""The trusted answer: a network on the CPU, in float64 or float32 by its own work, kept from one sweep to the next."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 (the field's usual name)
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from workloads.models import rounding
from workloads.models.rounding import outputs_rounded
from workloads.runtime.kept import digest_of, kept, versions

MAX_DOUBLE_FLOP = 10e9
"""Networks of more for an item are computed in float32: so the type is the network's, and not the machine's load."""
N_ROUNDED = 8
"""Items computed with rounded products too."""
BATCH = 8
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


def outputs_in_double(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor | None:
    """Outputs in float64; None where the model cannot compute so. Its weights are float32's again afterwards."""
    outputs: list[torch.Tensor] = []
    module.double()
    try:
        for items in inputs.double().split(BATCH):
            with torch.inference_mode(), _Exact():
                outputs.append(module(items))
    except RuntimeError:  # a constant in float32 inside of the model does not meet float64
        return None
    finally:
        module.float()
    return torch.cat(outputs) if outputs[0].dtype == torch.float64 else None


def outputs_in_single(module: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Outputs in float32."""
    with torch.inference_mode():
        return torch.cat([module(items) for items in inputs.split(BATCH)]).float()


def identity_of(path: Path | None) -> Hashable:
    """What tells a file of weights from another, and from itself once it was written anew."""
    if path is None:
        return None
    found = path.stat()
    return str(path.resolve()), found.st_mtime_ns, found.st_size


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a network should answer.

    Attributes:
        outputs: Items first; their type says what they were computed in.
        rounded: Of the first ``N_ROUNDED`` items, with operations rounded to ten stored bits; float32.
    """

    outputs: torch.Tensor
    rounded: torch.Tensor


_known: dict[Hashable, Reference] = {}


def reference_of(network: Hashable, module: torch.nn.Module, inputs: torch.Tensor) -> Reference:
    """The reference for a network on the CPU: from this process, from the disk, or computed now.

    Args:
        network: Everything that decides the module's weights and inputs; equal values mean equal ones.
        module: In evaluation mode, with float32 weights, on the CPU; its weights keep their values.
        inputs: Items x channels x height x width in float32, on the CPU.
    """
    if network not in _known:
        state = module.state_dict()
        code = (Path(__file__), Path(rounding.__file__))
        name = digest_of([*code, *versions(), str(module), inputs, *state, *state.values()])
        found = kept(name, lambda: _computed(module, inputs))
        _known.clear()
        _known[network] = Reference(outputs=found["outputs"], rounded=found["rounded"])
    return _known[network]


def _computed(module: torch.nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    few = inputs[:N_ROUNDED]
    with FlopCounterMode(display=False) as flops:
        rounded = outputs_rounded(module, few)
    is_cheap = flops.get_total_flops() <= MAX_DOUBLE_FLOP * len(few)
    outputs = outputs_in_double(module, inputs) if is_cheap else None
    return {"outputs": outputs_in_single(module, inputs) if outputs is None else outputs, "rounded": rounded}
