"""One call of an operation in one direction: its arguments moved and cast, its result or its gradients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from sweeps.coverage.child.differences import tensors_of
from workloads.operations.base import Sample

FORWARD, BACKWARD = "forward", "backward"
DIRECTIONS = (FORWARD, BACKWARD)
CPU = torch.device("cpu")
_WIDER = {
    torch.float32: torch.float64, torch.float16: torch.float64, torch.bfloat16: torch.float64,
    torch.complex64: torch.complex128, torch.complex32: torch.complex128,
}  # fmt: skip
_UNWATCHED = nullcontext()


class NothingToDifferentiateError(Exception):
    """The call has no gradient: no floating result hangs on an argument."""


def _fresh(tensor: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """A new leaf with a changed copy of a tensor's values, so that calls that write do not spoil the sample."""
    changed = change(tensor.detach())
    if changed.layout != torch.strided or changed.data_ptr() == tensor.data_ptr():
        changed = changed.clone()
    return changed.requires_grad_(tensor.requires_grad)


def arguments(
    sample: Sample, device: torch.device, change: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[Any, Any]:  # fmt: skip
    """Arguments with their tensors changed and every mention of a device replaced."""

    def leaf(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return _fresh(value, change)
        return device if isinstance(value, torch.device) else value

    changed = sample.changed(leaf)
    if isinstance(changed.kwargs.get("device"), str):
        changed.kwargs["device"] = device
    return tuple(device if isinstance(a, str) and a == "cpu" else a for a in changed.args), changed.kwargs


def _weights(output: torch.Tensor) -> torch.Tensor:
    """What the gradient of an output begins with: eighths from -1 to 1, which every type holds without rounding.

    Made on the CPU, so that a device that lacks an operation for it is not blamed for the operator under test.
    """
    eighths = (torch.arange(output.numel()) % 17 - 8).to(torch.float64) / 8
    return eighths.reshape(output.shape).to(output.dtype).to(output.device)


def call(
    sample: Sample, direction: str, device: torch.device, watch: AbstractContextManager[Any] = _UNWATCHED
) -> Any:  # fmt: skip
    """Run a sample on a device in the type it has.

    ``watch`` is entered around the operation itself and its gradient, not around what prepares and weighs.

    Returns:
        The processed result, or for ``backward`` the gradients of a fixed weighting of it (zero where a leaf has none).

    Raises:
        NothingToDifferentiateError: For ``backward``, if there is no gradient.
        Exception: Whatever the operation raises.
    """
    return _run(sample, sample.function, direction, device, lambda t: t.to(device), watch)


def reference(sample: Sample, direction: str) -> Any:
    """The same in float64 on the CPU, by the operation itself or by what the sample names instead.

    Raises:
        NothingToDifferentiateError: For ``backward``, if there is no gradient.
        Exception: Whatever the operation raises.
    """
    if sample.reference is not None:
        return _run(sample, sample.reference, direction, CPU, lambda t: t)
    return _run(sample, sample.function, direction, CPU, lambda t: t.to(_WIDER.get(t.dtype, t.dtype)))


def _run(
    sample: Sample,
    function: Callable[..., Any],
    direction: str,
    device: torch.device,
    change: Callable[[torch.Tensor], torch.Tensor],
    watch: AbstractContextManager[Any] = _UNWATCHED,
) -> Any:
    torch.manual_seed(0)
    args, kwargs = arguments(sample, device, change)
    if direction == FORWARD:
        with torch.no_grad(), watch:
            result = function(*args, **kwargs)
        return sample.process(result)
    leaves = [t for t in tensors_of((args, kwargs)) if t.requires_grad]
    with watch:
        result = function(*args, **kwargs)
    outputs = [t for t in tensors_of(sample.process(result)) if t.requires_grad and t.numel()]
    if not outputs or not leaves:
        raise NothingToDifferentiateError
    weights = [_weights(t) for t in outputs]
    with watch:
        gradients = torch.autograd.grad(outputs, leaves, weights, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves, strict=True)]
