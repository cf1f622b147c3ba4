"""In the child: a whole model run on a device, and each part of it that computes compared with float64 on the CPU.

A detector chooses by values, which boxes to keep for example, and the least rounding makes it choose another of two
that are nearly equal; so its last answer says nothing. What leads to the choice is a smooth function of its input, and
is compared: the largest parts of the model that choose nothing, each on the inputs that it had. Most models are one
such part. What chooses is replayed operation by operation.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sweeps.coverage.child.differences import tensors_of
from sweeps.measure.device.device import synchronize
from workloads.operations.base import DTYPES
from workloads.runtime.torch_private import tree_map
from workloads.runtime.without_compiler import TorchDispatchMode
from workloads.runtime.words import in_short

MODEL_TOLERANCE = {"fp32": 1e-3, "fp16": 6e-2, "bf16": 0.25}
"""Largest difference over the largest magnitude that a whole network's roundings explain; see ``measure.agreement``."""
_CHOOSE = (
    "aten::topk", "aten::sort", "aten::argmax", "aten::argmin", "aten::nonzero", "aten::masked_select",
    "aten::kthvalue", "aten::mode", "aten::_unique2", "aten::unique_dim", "aten::multinomial", "torchvision::nms",
)  # fmt: skip
CPU = torch.device("cpu")
Keep = Callable[[Any], Any]


class _Choices(TorchDispatchMode):
    """Notes the modules that run while an operation chooses by values.

    Attributes:
        running: Names of the modules that run, outermost first.
        choosing: Those that chose, or one in them did.
        called: Those that ran.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []
        self.choosing: set[str] = set()
        self.called: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(function.name()).partition(".")[0] in _CHOOSE:
            self.choosing.update(self.running)
        return function(*args, **(kwargs or {}))

    def enter(self, name: str, *_: Any) -> None:
        self.running.append(name)
        self.called.add(name)

    def leave(self, *_: Any) -> None:
        self.running.pop()


def _largest(module: nn.Module, name: str, seen: _Choices) -> Iterator[str]:
    if name in seen.called and name not in seen.choosing:
        if next(module.parameters(), None) is not None:
            yield name
        return
    for child, inner in module.named_children():
        yield from _largest(inner, f"{name}.{child}" if name else child, seen)


def parts_of(model: nn.Module, inputs: tuple[Any, ...]) -> list[str]:
    """Names of the largest modules with parameters that choose nothing by values; the model's own is empty."""
    seen = _Choices()
    hooks = []
    for name, module in model.named_modules():
        hooks += [module.register_forward_pre_hook(functools.partial(seen.enter, name)),
                  module.register_forward_hook(seen.leave)]  # fmt: skip
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"), seen:
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return list(_largest(model, "", seen))


@dataclass(frozen=True, kw_only=True)
class PartCall:
    """The first call of a part, its tensors copied as they were."""

    name: str
    args: Any
    kwargs: Any
    output: Any


def _clone(values: Any) -> Any:
    return tree_map(lambda t: t.clone() if isinstance(t, torch.Tensor) else t, values)


def as_it_is(values: Any) -> Any:
    """Keeps without a copy, which would count among what the model dispatches."""
    return values


def moved(values: Any, to: torch.device | torch.dtype) -> Any:
    """Any structure with its tensors on a device, or its floating tensors in a type."""

    def move(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or (isinstance(to, torch.dtype) and not value.is_floating_point()):
            return value
        return value.to(to)

    return tree_map(move, values)


def _loss(outputs: Any) -> torch.Tensor:
    """A number that hangs on everything of the outputs that has a gradient."""
    tensors = [t for t in tensors_of(outputs) if t.requires_grad and t.numel()]
    if not tensors:
        raise RuntimeError("none of its outputs has a gradient")
    return torch.stack([t.float().square().mean() for t in tensors]).sum()


def run_parts(
    model: nn.Module, inputs: tuple[Any, ...], parts: Sequence[str], *, train: bool, keep: Keep = _clone
) -> list[PartCall]:
    """Run a model and keep each part's first call; with gradients left in its parameters if ``train``.

    ``keep`` copies what a call took and gave, for the model may write into it later.
    """
    entered: dict[str, tuple[Any, Any]] = {}
    calls: dict[str, PartCall] = {}

    def enter(name: str, _: nn.Module, args: Any, kwargs: Any) -> None:
        if name not in entered:
            entered[name] = keep((args, kwargs))

    def leave(name: str, _: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        if name not in calls:
            args, kwargs = entered[name]
            calls[name] = PartCall(name=name, args=args, kwargs=kwargs, output=keep(output))

    hooks = []
    for name in parts:
        part = model.get_submodule(name)
        hooks += [part.register_forward_pre_hook(functools.partial(enter, name), with_kwargs=True),
                  part.register_forward_hook(functools.partial(leave, name), with_kwargs=True)]  # fmt: skip
    try:
        with torch.set_grad_enabled(train):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if train:
        _loss([call.output for call in calls.values()]).backward()
    return list(calls.values())


def _expected(model: nn.Module, calls: Sequence[PartCall], dtype: torch.dtype) -> list[list[torch.Tensor]]:
    """What each part gives on the CPU in a type; the model is in that type afterwards."""
    model.to(CPU).to(dtype)
    expected = []
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        for call in calls:
            args, kwargs = moved(moved((call.args, call.kwargs), CPU), dtype)
            expected.append(tensors_of(model.get_submodule(call.name)(*args, **kwargs)))
    return expected


def _reference(model: nn.Module, calls: Sequence[PartCall]) -> tuple[list[list[torch.Tensor]], str]:
    """The right answers and what they were computed in: float64, or float32 of a model that has that written in it."""
    try:
        return _expected(model, calls, torch.float64), "fp64"
    except (RuntimeError, TypeError):
        return _expected(model, calls, torch.float32), "fp32"


def run_whole(
    model: nn.Module, inputs: tuple[Any, ...], device: torch.device, dtype: str, parts: Sequence[str], *, train: bool
) -> dict[str, Any]:
    """Run the whole model on the device and compare what its parts give with the CPU.

    Returns:
        ``runs``, with a ``reason`` if it does not; ``agrees`` (None if shapes differ or nothing can be compared),
        ``max_rel_diff``, ``reference`` and ``first_run_s``.
    """
    model, inputs = model.to(DTYPES[dtype]), moved(inputs, DTYPES[dtype])
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(action="ignore"):
            calls = run_parts(model.to(device), moved(inputs, device), parts, train=train)
            synchronize(device)
    except Exception as error:
        return {"runs": False, "reason": in_short(error, 400)}
    took = time.perf_counter() - began
    expected, reference = _reference(model, calls)
    ours = [tensors_of(call.output) for call in calls]
    told = {"runs": True, "reference": reference, "first_run_s": took, "agrees": None, "max_rel_diff": None}
    if [[t.shape for t in part] for part in ours] != [[t.shape for t in part] for part in expected]:
        return told
    pairs = [pair for a, b in zip(ours, expected, strict=True) for pair in zip(a, b, strict=True)]
    worst = worst_of(pairs)
    return {**told, "max_rel_diff": worst, "agrees": worst is not None and worst <= MODEL_TOLERANCE[dtype]}


def worst_of(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> float | None:
    """Largest difference over the largest magnitude of the expected tensor, of results and what they should be.

    None if no value is finite, if only one of two is, or if nothing can be compared: then nothing agrees.
    """
    worst: list[float] = []
    for ours, right in pairs:
        if not right.numel() or not right.is_floating_point():
            continue
        result, is_known = ours.detach().cpu().double(), torch.isfinite(right)
        if not is_known.any() or not torch.equal(torch.isfinite(result), is_known):
            return None
        largest = max(float(right[is_known].abs().max()), 1e-30)
        worst.append(float((result - right)[is_known].abs().max()) / largest)
    return max(worst, default=None)
