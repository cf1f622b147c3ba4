"""What an operation is: a name, a family, the types it is run in, and samples of its input; knows no device."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from workloads.runtime.torch_private import leaves_of

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8, "uint8": torch.uint8,
}  # fmt: skip
FLOAT_DTYPES = ("fp32", "fp16", "bf16")
SOURCES = ("database", "transforms", "modules")


class OperationsMissingError(Exception):
    """This torch or torchvision lacks a source of operations; the message says which and why."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What difference a source of operations itself allows.

    Attributes:
        absolute: Allowed whatever the value.
        relative: Allowed per magnitude of the reference.
    """

    absolute: float
    relative: float

    def __post_init__(self) -> None:
        if self.absolute < 0 or self.relative < 0:
            raise ValueError(f"tolerances are 0 or more, got {self.absolute=}, {self.relative=}")

    def loosest(self, other: Tolerance) -> Tolerance:
        """The looser of both, each part on its own."""
        return Tolerance(
            absolute=max(self.absolute, other.absolute), relative=max(self.relative, other.relative)
        )  # fmt: skip


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
        function: What is called.
        args: Its positional arguments; the tensors to differentiate by have ``requires_grad``.
        kwargs: Its keyword arguments.
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
    def leaves(self) -> list[torch.Tensor]:
        """The tensors to differentiate by."""
        return [t for t in self.tensors if t.requires_grad]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Every tensor among the arguments."""
        return [leaf for leaf in leaves_of((self.args, self.kwargs)) if isinstance(leaf, torch.Tensor)]


class Operation(Protocol):
    """One thing to run. ``samples`` must give the same samples every time.

    Attributes:
        name: Such as ``nn.functional.conv2d``; unique within its source.
        source: One of SOURCES.
        family: What reports group by.
        dtypes: Names of the types it is run in.
        not_compared: Why its values cannot be compared (such as uninitialised memory); None if they can.
    """

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def dtypes(self) -> Sequence[str]: ...
    @property
    def not_compared(self) -> str | None: ...

    def samples(self, dtype: str) -> Iterator[Sample]:
        """Its calls in a type."""

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        """What difference is allowed in a type on a kind of device."""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a shell pattern fits an operation's whole name or the part after its last dot; any does without one.

    ``conv*`` fits ``nn.functional.conv2d``; ``nn.functional.*`` fits it as well.
    """
    patterns = list(patterns)
    if not patterns:
        return True
    names = {name.lower(), name.lower().rsplit(".", 1)[-1]}
    return any(fnmatch.fnmatchcase(n, pattern.lower()) for n in names for pattern in patterns)


def evenly(items: Sequence[Any], n: int) -> list[Any]:
    """At most ``n`` of the items, spread evenly, the first always among them."""
    if len(items) <= n:
        return list(items)
    return [items[i * len(items) // n] for i in range(n)]
