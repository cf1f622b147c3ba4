"""What a runtime is asked for, and what its sessions are: the protocol behind which each has a file of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from workloads.base import UnsupportedError
from workloads.models.calls.inputs import cast
from workloads.models.origins.running import told
from workloads.precision import product_type

Tensors = tuple[torch.Tensor, ...]
_HAVE = {"fp32", "tf32", "bf16", "fp16", "int8"}
"""Precisions that say what products are computed in, and nothing of how."""
N_CALIBRATED = 32
"""Items by which quantisers choose their scales; more is slower and, of some photographs' crops, tells them no more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What to make a session of.

    Attributes:
        network: Takes tensors and answers with a tuple of tensors; on the CPU, in float32, in evaluation mode.
        examples: A batch of its input on the CPU, whose shapes all batches have.
        calibration: Batches of other items, ``N_CALIBRATED`` together, for a quantiser.
        device: Where it is to run.
        precision: One of ``workloads.precision.PRECISIONS``.
        n_threads: Of the CPU.
    """

    network: torch.nn.Module
    examples: Tensors
    calibration: Callable[[], Sequence[Tensors]]
    device: torch.device
    precision: str
    n_threads: int


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a session is and what runs in it, as columns of the trials table, and the types of its products.

    Attributes:
        provider: What of the runtime was asked to run the network: an execution provider, or a device in its words.
        nodes_by_provider: How many nodes of the graph run on which of them, most first.
        runtime_settings: What the runtime says that it was set to.
        convert_s: Seconds from the module to the runtime's own format, with its quantiser where there is one.
        session_s: Seconds from there to a session that runs.
        types: Of the operands of matrix products and convolutions, of most nodes first; empty where it does not tell.
    """

    provider: str
    nodes_by_provider: str
    runtime_settings: str
    convert_s: float
    session_s: float
    types: tuple[str, ...]


class Session(Protocol):
    """A network as a runtime runs it.

    Attributes:
        takes: Where its inputs must be, and where its outputs are.
        ran: What runs in it.
    """

    takes: torch.device
    ran: Ran

    def run(self, *inputs: torch.Tensor) -> Tensors:
        """The network's outputs, which later runs leave as they are; inputs have the shapes of the examples."""


def own_type(precision: str, runtime: str) -> str:
    """The type of a precision's products, as rows name it.

    Raises:
        UnsupportedError: The precision is a way of PyTorch's to hold weights.
    """
    if precision not in _HAVE:
        raise UnsupportedError(f"{runtime} holds weights in its own way: {precision} is torch's")
    return "int8" if precision == "int8" else product_type(precision)


def check_types(ran: Ran, own: str, runtime: str, precision: str) -> None:
    """UnsupportedError where most products are computed in another type than the precision's, whatever was asked."""
    if ran.types and ran.types[0] != own:
        raise UnsupportedError(f"{runtime} on {ran.provider} computes {precision} in {', '.join(ran.types)}")


def counted(names: Iterable[str]) -> str:
    """``A 40, B 2``: how often each occurs, most first."""
    return ", ".join(f"{name} {n}" for name, n in Counter(names).most_common())


def most_first(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, that which occurs most first."""
    return tuple(name for name, _ in Counter(names).most_common())


def exported(asked: Asked, dtype: torch.dtype = torch.float32) -> torch.export.ExportedProgram:
    """The network by torch.export for batches of this shape, with weights and products in a type.

    Raises:
        UnsupportedError: It cannot be exported.
    """
    network = asked.network if dtype == torch.float32 else Lowered(asked.network, dtype)
    try:
        with torch.no_grad():
            return torch.export.export(network, asked.examples, strict=False)
    except MemoryError:
        raise
    except Exception as error:  # a network may do whatever cannot be traced
        raise UnsupportedError(f"torch.export: {told(error)}") from error


class Lowered(torch.nn.Module):
    """A network with weights of a shorter type between inputs and outputs in float32."""

    def __init__(self, network: torch.nn.Module, dtype: torch.dtype) -> None:
        import copy

        super().__init__()
        self.network, self.dtype = cast(copy.deepcopy(network), dtype), dtype

    def forward(self, *inputs: torch.Tensor) -> Tensors:
        lowered = [tensor.to(self.dtype) if tensor.is_floating_point() else tensor for tensor in inputs]
        return tuple(output.float() if output.is_floating_point() else output for output in self.network(*lowered))
