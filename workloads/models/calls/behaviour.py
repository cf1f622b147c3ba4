"""What a user's network does beside answering: it changes its inputs, or answers otherwise when it is asked again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workloads.models.calls.answers import leaves
from workloads.models.calls.inputs import Inputs, changed

VARIES = "the network's answers to the same items differ from call to call: it draws random numbers, or keeps a state"
TOLERANCE = 1e-3
"""Of an answer's largest value, by which the same sum in another order does not differ."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What two calls with the same items show.

    Attributes:
        changes_inputs: In place, so that a second call with the same tensors has other inputs.
        varies: Its answers differ: it draws random numbers, or keeps a state.
    """

    changes_inputs: bool = False
    varies: bool = False

    @classmethod
    def of(cls, module: nn.Module, items: Inputs) -> Behaviour:
        """Told on the CPU; of a network that does not answer nothing is.

        Args:
            module: In evaluation mode.
            items: One is enough.
        """
        answers = []
        with contextlib.suppress(Exception), torch.random.fork_rng(devices=[]), torch.inference_mode():
            for _ in range(2):
                given = items.with_tensors([tensor.clone() for tensor in items.tensors])
                answers.append(leaves(given.call(module)))
            is_same = all(torch.equal(a, b) for a, b in zip(given.tensors, items.tensors, strict=True))
            varies = any(_differ(answer, answers[1].get(name)) for name, answer in answers[0].items())
            return cls(changes_inputs=not is_same, varies=varies)
        return cls()


def _differ(first: torch.Tensor, second: torch.Tensor | None) -> bool:
    if second is None or first.shape != second.shape:
        return True
    if not first.numel():
        return False
    most = TOLERANCE * float(first.abs().nan_to_num(0, 0, 0).max())
    return not torch.allclose(first, second, rtol=0.0, atol=most, equal_nan=True)


def is_lazy(module: nn.Module) -> bool:
    """Whether some of its layers learn their shapes from the first call (``nn.LazyLinear``)."""
    return any(nn.parameter.is_lazy(part) for part in (*module.parameters(), *module.buffers()))


def settle_shapes(module: nn.Module, items: Inputs) -> None:
    """Give lazy layers their shapes, by a call that leaves tensors that can be trained."""
    if is_lazy(module):
        with contextlib.suppress(Exception), torch.no_grad():  # whoever calls it next meets the error
            items.call(module)


class Sparing(nn.Module):
    """A network that changes its inputs, called with copies of them: others may be called with the same tensors."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        copied = changed((args, kwargs), lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf)
        return self.network(*copied[0], **copied[1])
