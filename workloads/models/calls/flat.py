"""Networks as exporters take them, who know no classes of others: tensors go in, and come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from workloads.base import UnsupportedError
from workloads.models.calls.answers import Answers, all_leaves, plain
from workloads.models.calls.inputs import Inputs

Tensors = tuple[torch.Tensor, ...]


class Flat(torch.nn.Module):
    """A network that takes its tensors one after the other and answers with a tuple of all of its own.

    Args:
        network: In evaluation mode.
        batch: Its input, of whose structure all inputs are.

    Attributes:
        names: Of its answers, told from an answer to the first item.

    Raises:
        UnsupportedError: There is no tensor among its answers.
    """

    def __init__(self, network: torch.nn.Module, batch: Inputs) -> None:
        super().__init__()
        self.network, self._batch = network, batch
        with torch.no_grad():
            self.names = tuple(_some(batch[:1].call(network)))

    def forward(self, *inputs: torch.Tensor) -> Tensors:
        return tuple(all_leaves(self._batch.with_tensors(inputs).call(self.network)).values())


class Named(torch.nn.Module):
    """What runs a ``Flat`` network, with its answers by name; a network with one tensor for an answer has that."""

    def __init__(self, run: Callable[..., Sequence[torch.Tensor]], names: Sequence[str]) -> None:
        super().__init__()
        self.run, self._names = run, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | Answers:
        return plain(dict(zip(self._names, self.run(*inputs), strict=True)))


class Plain(torch.nn.Module):
    """A network called as it is, with its answers by name as of ``Named``."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor | Answers:
        return plain(_some(self.network(*args, **kwargs)))


def _some(answer: Any) -> Answers:
    """The tensors of an answer; UnsupportedError where it has none, since nothing would be left of an export."""
    found = all_leaves(answer)
    if not found:
        raise UnsupportedError("the network answers with no tensor, so that nothing is left of it when it is exported")
    return found
