"""The type that a step's matrix products and convolutions are computed in: seen where they run, not told by a name.

Eager steps are watched as they are dispatched, compiled ones in the graphs that torch.compile makes kernels of.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from sweeps.measure.formulas import eight_bit_flops, product_flops
from workloads.precision import PRECISIONS, product_type
from workloads.runtime.torch_private import leaves_of, tree_map
from workloads.runtime.without_compiler import TorchDispatchMode

LEAST_SHARE = 0.01
"""Of all products' FLOPs; a type with fewer is not told."""
NO_PRODUCTS = "the step computes no matrix product or convolution"
NOT_SEEN = "the compiled step does not show its products"


_EIGHT_BITS = {torch.uint8: torch.int8, torch.int8: torch.int8}
"""Whole numbers that products are made of; how the sign is told is no other type."""


def _operands(args: Any) -> Counter[torch.dtype]:
    found = (a.dtype for a in leaves_of(args) if isinstance(a, torch.Tensor))
    return Counter(_EIGHT_BITS.get(t, t) for t in found if t.is_floating_point or t in _EIGHT_BITS)


def _is_eight_bits(func: Any) -> bool:
    """Whether a call is a quantised layer of oneDNN, as it is dispatched or as a compiled graph has it."""
    name = str(getattr(func.func, "__qualname__", "") if isinstance(func, functools.partial) else func)
    return (name.startswith("onednn.q") or "quantized" in name) and any(w in name for w in ("qconv", "qlinear"))


class ProductTypes(TorchDispatchMode):
    """Counts the FLOPs of products by the type of their operands: of what runs inside, and of graphs shown.

    Enter it around ``count_step``, which takes apart what is made of products. A product is what has a formula
    for its FLOPs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flops: Counter[torch.dtype] = Counter()
        self._n_graphs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self._note(func, args, kwargs or {}, out)
        return out

    def look_at(self, graph: torch.fx.Graph) -> None:
        """Count a graph of torch.compile, after all that rewrites its operations."""
        self._n_graphs += 1
        for node in graph.nodes:
            if node.op == "call_function":
                args, kwargs = (
                    tree_map(lambda a: a.meta.get("val") if isinstance(a, torch.fx.Node) else a, part)
                    for part in (tuple(node.args), dict(node.kwargs))
                )
                self._note(node.target, args, kwargs, node.meta.get("val"))

    def _note(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        if _is_eight_bits(func):
            operands = [(torch.int8, 1)]  # whatever their scales are
            flops: int | None = eight_bit_flops(args, kwargs, out)
        else:
            operands = _operands((args, kwargs)).most_common(1)
            flops = product_flops(getattr(func, "overloadpacket", None), args, kwargs, out)
        if flops is not None and operands:
            self._flops[operands[0][0]] += flops

    def share(self, name: str) -> float | None:
        """Of all products' FLOPs those of a type; None where no product was seen."""
        total = sum(self._flops.values())
        return self._flops[getattr(torch, name)] / total if total else None

    @property
    def types(self) -> list[str]:
        """Names of the types, most FLOPs first; empty where no product was seen."""
        total = sum(self._flops.values())
        return [str(t).removeprefix("torch.") for t, n in self._flops.most_common() if n >= LEAST_SHARE * total]

    def columns(
        self, precision: str, *, is_compiled: bool, elsewhere: Sequence[str] | None = None
    ) -> dict[str, str | None]:
        """Columns of the trials table.

        float32 is told as tf32 where that is the precision: the device was shown to shorten products when told to.
        What another runtime tells of a step that it computes ``elsewhere`` is taken in the place of what was seen.
        """
        own, types = product_type(precision), self.types if elsewhere is None else elsewhere
        told = ", ".join(own if own == "tf32" and name == "float32" else name for name in types)
        is_unseen = is_compiled and not self._n_graphs if elsewhere is None else not elsewhere
        missing = NOT_SEEN if is_unseen else NO_PRODUCTS
        return {"computed_dtype": told or None, "computed_dtype_reason": None if told else missing}


def wrong_type(computed: str | None, precision: str) -> str | None:
    """Why products are computed in another type than the precision's, or None; the one with most FLOPs decides."""
    own, row = product_type(precision), PRECISIONS[precision]
    seen = (computed or own).split(", ")
    if seen[0] == own or (row.quantised and (row.is_weight_only or own in seen)):
        return None
    return f"products are computed in {computed}, where {precision} stands for {own}"
