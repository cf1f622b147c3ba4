"""What an operation is, whatever its source: a name, a family, types, and samples of its input; knows no device."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from workloads.runtime.torch_private import leaves_of, tree_map

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8, "uint8": torch.uint8,
}  # fmt: skip
FLOAT_DTYPES = ("fp32", "fp16", "bf16")
_LOADERS = {"database": "database_operations", "transforms": "transform_operations", "modules": "recorded_operations"}
"""The function of each source's module; imported when it is asked for."""


class OperationsMissingError(Exception):
    """This torch or torchvision lacks a source of operations; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What difference a source of operations itself allows: absolute + relative * magnitude of the reference."""

    absolute: float
    relative: float

    def __post_init__(self) -> None:
        if self.absolute < 0 or self.relative < 0:
            raise ValueError(f"tolerances are 0 or more, got {self.absolute=}, {self.relative=}")

    def loosest(self, other: Tolerance) -> Tolerance:
        """The looser of both, each part on its own."""
        return Tolerance(absolute=max(self.absolute, other.absolute), relative=max(self.relative, other.relative))


# torch.testing.assert_close's defaults, which PyTorch's operator tests start from (absolute, relative).
DEFAULT_TOLERANCES: dict[str, Tolerance] = {
    "fp32": Tolerance(absolute=1e-5, relative=1.3e-6),
    "fp16": Tolerance(absolute=1e-5, relative=1e-3),
    "bf16": Tolerance(absolute=1e-5, relative=1.6e-2),
    "int8": Tolerance(absolute=0.0, relative=0.0),
    "uint8": Tolerance(absolute=0.0, relative=0.0),
}
COMPARE_TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""What PyTorch's test_ops.py allows a device to differ from the CPU (``TestCommon.test_compare_cpu``)."""


def device_tolerance(dtype: str) -> Tolerance:
    """What devices may differ by in a type where its source says nothing else: rounding alone for whole numbers."""
    least = DEFAULT_TOLERANCES[dtype]
    return least.loosest(COMPARE_TOLERANCE) if dtype in FLOAT_DTYPES else least


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One call: ``function(*args, **kwargs)`` on tensors of the CPU, in the type asked for.

    Attributes:
        args: The tensors to differentiate by have ``requires_grad``.
        process: Makes results comparable that are not unique, such as the signs of singular vectors.
        reference: Called with the same arguments, gives the right answer in float64; None if that is the function
            itself on its arguments in float64.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    process: Callable[[Any], Any] = lambda result: result
    reference: Callable[..., Any] | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Every tensor among the arguments."""
        return [leaf for leaf in leaves_of((self.args, self.kwargs)) if isinstance(leaf, torch.Tensor)]

    def changed(self, change: Callable[[Any], Any]) -> Sample:
        """The call with each leaf of its arguments changed."""
        args, kwargs = tree_map(change, (self.args, dict(self.kwargs)))
        return replace(self, args=args, kwargs=kwargs)

    def cast(self, dtype: torch.dtype) -> Sample:
        """The call with its float32 tensors in another type."""

        def cast(value: Any) -> Any:
            is_float32 = isinstance(value, torch.Tensor) and value.dtype == torch.float32
            return value.detach().to(dtype).requires_grad_(value.requires_grad) if is_float32 else value

        return self.changed(cast)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing to run; what holds unless its source says otherwise.

    Attributes:
        name: Such as ``nn.functional.conv2d``; unique within its source.
        source: Its module in this package.
        family: What reports group by.
        dtypes: Names of the types it is run in.
        not_compared: Why its values cannot be compared (such as uninitialised memory); None if they can.
        n_positions: Of what computes places in an image: pixels of its longest side, 1 of all else. A place that is
            rounded is off by so many units at most, and so is what is interpolated there.
    """

    name: str
    source: str
    family: str
    dtypes: Sequence[str] = FLOAT_DTYPES
    not_compared: str | None = None
    n_positions: int = 1

    def samples(self, dtype: str) -> Iterator[Sample]:
        """Its calls in a type, the same every time."""
        raise NotImplementedError

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        """What difference is allowed in a type on a kind of device."""
        return device_tolerance(dtype)


Recording = Mapping[str, Sequence[Mapping[str, Any]]]
"""Calls of the model zoo by function or module, as ``zoo.record_zoo`` gives them."""


def operations_of(source: str, recording: Recording) -> Sequence[Operation]:
    """Every operation of a source.

    Raises:
        OperationsMissingError: If this torch or torchvision lacks the source.
    """
    load = getattr(importlib.import_module(f"workloads.operations.{source}"), _LOADERS[source])
    found: Sequence[Operation] = load(recording) if source == "modules" else load()
    return found


def load_operations(recording: Recording, sources: Sequence[str]) -> tuple[list[Operation], dict[str, str]]:
    """Every operation of these sources; and, for sources that this torch or torchvision lacks, why."""
    found: list[Operation] = []
    missing: dict[str, str] = {}
    for source in (name for name in _LOADERS if name in sources):
        try:
            found += operations_of(source, recording)
        except OperationsMissingError as error:
            missing[source] = str(error)
    return found, missing


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a shell pattern fits an operation's whole name or the part after its last dot; any does without one.

    ``conv*`` fits ``nn.functional.conv2d``; ``nn.functional.*`` fits it as well.
    """
    names = (name.lower(), name.lower().rsplit(".", 1)[-1])
    return not patterns or any(fnmatch.fnmatchcase(n, pattern.lower()) for n in names for pattern in patterns)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most ``n`` of the items, spread evenly, the first always among them."""
    return list(items) if len(items) <= n else [items[i * len(items) // n] for i in range(n)]
