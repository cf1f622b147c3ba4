"""torch's functions and modules as torchvision's models call them: a recording of ``zoo.py`` as operations."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workloads.operations.base import DTYPES, Operation, OperationsMissingError, Recording, Sample
from workloads.operations.encoding import decode
from workloads.runtime.without_compiler import import_torchvision


def _resolve(name: str) -> Any:
    """The function or class of a public name such as ``torch.nn.functional.conv2d``.

    Raises:
        OperationsMissingError: If this torch or torchvision lacks it.
    """
    package, _, path = name.partition(".")
    if "torchvision" in name:  # which puts operators into torch.ops as well
        import_torchvision()
    try:
        return operator.attrgetter(path)(sys.modules[package])
    except (AttributeError, KeyError, RuntimeError) as error:
        raise OperationsMissingError(f"torch {torch.__version__} lacks {name}, which a recording calls") from error


def _module_call(module: nn.Module) -> Callable[..., Any]:
    """A module as a function of its parameters and buffers, so that they can be moved like any argument."""

    def run(*args: Any, module_state: Mapping[str, torch.Tensor], **kwargs: Any) -> Any:
        return torch.func.functional_call(module, dict(module_state), args, kwargs)

    return run


def _state(module: nn.Module, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Its parameters, to differentiate by, and its buffers, in the type."""
    parameters = {k: p.detach().to(dtype).requires_grad_() for k, p in module.named_parameters()}
    buffers = {k: b.to(dtype) if b.is_floating_point() else b for k, b in module.named_buffers()}
    return {**parameters, **buffers}


@dataclass(frozen=True, kw_only=True)
class RecordedOperation(Operation):
    """A function or module with the calls that models make of it.

    Attributes:
        calls: Encoded by ``encoding.py``; a module's have ``made_with``, what it is constructed with.
    """

    calls: Sequence[Mapping[str, Any]]
    source: str = "modules"
    family: str = "zoo functions"

    def samples(self, dtype: str) -> Iterator[Sample]:
        wanted = DTYPES[dtype]
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        target = _resolve(self.name)
        for call in self.calls:
            args = decode(call["args"], wanted, generator)
            kwargs = decode(call["kwargs"], wanted, generator)
            function = target
            if "made_with" in call:
                module = target(**decode(call["made_with"], wanted, generator)).eval()
                function = _module_call(module)
                kwargs["module_state"] = _state(module, wanted)
                writes = bool(getattr(module, "inplace", False))
            else:
                args, kwargs = _with_running_statistics(target, args, kwargs)
                args = _with_boxes(self.name, args)
                writes = _writes(self.name, target, args, kwargs)
            function = functools.partial(_on_copy, function) if writes else function
            yield Sample(function=function, args=args, kwargs=kwargs)


def _bound(function: Callable[..., Any], args: Any, kwargs: Any) -> inspect.BoundArguments | None:
    """Arguments by name; None for functions written in C, which have no signature."""
    try:
        return inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return None


def _with_running_statistics(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Running means and variances as normalisations keep them: never differentiated, variances over 0."""
    bound = _bound(function, args, kwargs)
    if bound is None:
        return args, kwargs
    for name, value in bound.arguments.items():
        if name in {"running_mean", "running_var"} and isinstance(value, torch.Tensor):
            bound.arguments[name] = value.detach() if name == "running_mean" else value.detach().abs() + 0.5
    return bound.args, bound.kwargs


_BOXES = {"torch.ops.torchvision.nms": 0, "torch.ops.torchvision.roi_align": 1}
"""Which argument holds boxes."""


def _with_boxes(name: str, args: Any) -> Any:
    """Boxes with corners in order, in the first image of the batch: another image's number would read wild memory."""
    if name not in _BOXES:
        return args
    where = _BOXES[name]
    given = args[where].detach().abs()
    corners = torch.cat([given[:, -4:-2], given[:, -4:-2] + given[:, -2:] + 1], dim=1)
    images = torch.zeros_like(given[:, :-4])
    return (*args[:where], torch.cat([images, corners], dim=1), *args[where + 1 :])


def _writes(name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call changes its first argument."""
    if name.endswith("__setitem__") or (name.endswith("_") and not name.endswith("__")):
        return True
    bound = _bound(function, args, kwargs)
    return bound is not None and bool(bound.arguments.get("inplace"))


def _on_copy(function: Callable[..., Any], target: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """The call on a copy of its first argument, as autograd forbids to write into a leaf; the copy if it gives none."""
    copy = target.clone()
    result = function(copy, *args, **kwargs)
    return copy if result is None else result


def recorded_operations(recording: Recording) -> list[RecordedOperation]:
    """The operations of a recording, by name."""
    return [
        RecordedOperation(
            name=name, calls=calls, family="zoo modules" if "made_with" in calls[0] else "zoo functions"
        )
        for name, calls in sorted(recording.items()) if calls
    ]  # fmt: skip
