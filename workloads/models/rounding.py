"""What a precision's rounding alone does to a network's answers: its operations computed in float32, then rounded.

The error of a first order is proportional to the unit roundoff (Higham, Accuracy and Stability of Numerical Algorithms,
3.1), so one run with ten stored bits, those of fp16 and tf32, tells what any precision's rounding does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from workloads.models.calls.inputs import Inputs
from workloads.runtime.torch_private import leaves_of, tree_map
from workloads.runtime.without_compiler import TorchDispatchMode

ROUNDED_BITS = 10
"""Stored bits of the rounded references that workloads give."""
_PRODUCTS = ("conv", "mm", "bmm", "matmul", "linear", "attention", "dot", "rnn", "lstm", "gru")
_KEPT = ("norm", "softmax", "mean", "sum", "copy", "empty")
"""Parts of the names of operations that autocast leaves in float32, or that compute nothing."""


def rounded(values: torch.Tensor, bits: int = ROUNDED_BITS) -> torch.Tensor:
    """float32 to fewer stored bits, to nearest, by Veltkamp's splitting (Dekker, 1971)."""
    scaled = values * float(2 ** (23 - bits) + 1)
    return scaled - (scaled - values)


def _is_plain(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided


def _is_single(value: Any) -> bool:
    return _is_plain(value) and value.dtype == torch.float32


class Rounding(TorchDispatchMode):
    """Rounds the operands of each product, and what each operation gives that autocast would compute in few bits."""

    def __init__(self, bits: int = ROUNDED_BITS) -> None:
        super().__init__()
        self._bits = bits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(getattr(func, "overloadpacket", func))
        kwargs = kwargs or {}
        if any(word in name for word in _PRODUCTS):
            args, kwargs = tree_map(
                lambda a: rounded(a, self._bits) if _is_single(a) else a, (tuple(args), dict(kwargs))
            )
        out = func(*args, **kwargs)
        if any(word in name for word in _KEPT):
            return out
        given = {t.untyped_storage()._cdata for t in leaves_of((args, kwargs)) if _is_plain(t)}
        for made in leaves_of(out):
            # In place, as others may hold it already; a view, and what is computed in place, was made by another.
            if _is_single(made) and made.untyped_storage()._cdata not in given:
                made.copy_(rounded(made, self._bits))
        return out


@contextlib.contextmanager
def products_apart() -> Iterator[None]:
    """Attention is computed product by product, which as one operation it would hide."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def rounded_answer(module: torch.nn.Module, inputs: Inputs | torch.Tensor) -> Any:
    """A network's answer in float32 with operations of ``ROUNDED_BITS`` stored bits."""
    with torch.no_grad(), products_apart(), Rounding():
        return Inputs.of(inputs).call(module)
