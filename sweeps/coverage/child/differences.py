"""How far an operation's result is from the right one, in units of what its source allows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from workloads.operations.base import Tolerance
from workloads.runtime.torch_private import leaves_of

_TIES = re.compile(r"^(torch\.Tensor\.|aten\.)?(sort|topk|mode|kthvalue)(\[|\.|$)")
"""Which of equal elements comes first is not promised (torch.sort's and torch.topk's documentation)."""

_FIRST_ONLY = re.compile(r"^(aten\.)?_?native_batch_norm")
"""When evaluating, the CPU leaves the saved statistics empty and CUDA fills them; only training reads them."""


class DifferentKindError(Exception):
    """A result and its reference cannot be compared element by element: other shape or other number of parts."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The worst element of a result.

    Attributes:
        absolute: Largest absolute difference of finite elements.
        relative: The largest difference over the reference's own magnitude, of elements whose reference is not 0.
        tolerance_ratio: The largest difference over what is allowed there; over 1 is wrong, infinite where only one of
            both is NaN or infinite, or where whole numbers differ.
        rounding_units: The largest difference in unit roundoffs at the largest magnitude of the whole reference: a few
            where rounding each step explains it, cancellation included; infinite where ``tolerance_ratio`` is.
    """

    absolute: float = 0.0
    relative: float = 0.0
    tolerance_ratio: float = 0.0
    rounding_units: float = 0.0

    def worst(self, other: Difference) -> Difference:
        """Both together; NaN is worse than any number."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Difference(**{name: a if math.isnan(a) or a >= b else b for name, (a, b) in pairs.items()})


def tensors_of(result: Any) -> list[torch.Tensor]:
    """The tensors of a result of any structure; Python's numbers become tensors, everything else is left out."""
    found = []
    for leaf in leaves_of(result):
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        elif isinstance(leaf, (bool, int, float, complex)):
            found.append(torch.tensor(leaf, dtype=torch.float64 if isinstance(leaf, float) else None))
    return found


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """A dense tensor on the CPU, outside of autograd, with conjugation and negation carried out."""
    dense = tensor.detach()
    if dense.layout != torch.strided:
        dense = dense.to_dense()
    if dense.is_quantized:
        dense = dense.dequantize()
    return dense.cpu().resolve_conj().resolve_neg()


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What differences are measured against.

    Attributes:
        unit: Unit roundoff of the type computed in; None for whole numbers.
        largest: Largest magnitude of the whole reference.
    """

    tolerance: Tolerance
    unit: float | None
    largest: float

    def rounding_units(self, gap: float, ratio: float) -> float:
        """A difference in roundings at the largest magnitude."""
        if gap == 0 and ratio <= 1:
            return 0.0
        if (not math.isfinite(ratio) and gap == 0) or self.unit is None or self.largest == 0:
            return math.inf
        return gap / (self.unit * self.largest)


def _exact(ours: torch.Tensor, theirs: torch.Tensor, scale: Scale) -> Difference:
    """Of whole numbers and truth values."""
    gap = (ours.to(torch.float64) - theirs.to(torch.float64)).abs()
    worst, allowed = float(gap.max()), scale.tolerance.absolute
    ratio = 0.0 if worst == 0 else worst / allowed if allowed else math.inf
    return Difference(absolute=worst, tolerance_ratio=ratio, rounding_units=scale.rounding_units(worst, ratio))


def _compare(ours: torch.Tensor, theirs: torch.Tensor, scale: Scale) -> Difference:
    if ours.shape != theirs.shape:
        raise DifferentKindError(f"shape {tuple(ours.shape)} where the reference has {tuple(theirs.shape)}")
    if ours.numel() == 0:
        return Difference()
    if not (ours.is_floating_point() or ours.is_complex()):
        return _exact(ours, theirs, scale)
    # Rounded to the result's own type, so that values that overflow or coincide there count as equal.
    if ours.is_complex() == theirs.is_complex():
        theirs = theirs.to(ours.dtype)
    kind = torch.complex128 if ours.is_complex() or theirs.is_complex() else torch.float64
    ours, theirs = ours.to(kind), theirs.to(kind)
    same = (ours == theirs) | (torch.isnan(ours) & torch.isnan(theirs))
    finite = torch.isfinite(ours) & torch.isfinite(theirs)
    size = theirs.abs()
    gap = torch.where(finite & ~same, (ours - theirs).abs(), 0.0)
    allowed = scale.tolerance.absolute + scale.tolerance.relative * size
    ratio = torch.where(same, 0.0, torch.where(finite, gap / allowed, math.inf))
    relative = torch.where((size > 0) & finite, gap / size, 0.0)
    worst, excess = float(gap.max()), float(ratio.max())
    return Difference(
        absolute=worst, relative=float(relative.max()), tolerance_ratio=excess,
        rounding_units=math.inf if excess == math.inf else scale.rounding_units(worst, excess),
    )  # fmt: skip


def _largest(tensors: Sequence[torch.Tensor]) -> float:
    """The largest finite magnitude; 0 where there is none."""
    sizes = (t.to(torch.complex128 if t.is_complex() else torch.float64).abs() for t in tensors if t.numel())
    return max((float(torch.where(torch.isfinite(size), size, 0.0).max()) for size in sizes), default=0.0)


def difference(
    result: Any, reference: Any, tolerance: Tolerance, *, dtype: torch.dtype, at_least: float = 0.0
) -> Difference:
    """The worst difference of a result from its reference, all tensors of both together.

    The reference is rounded to the result's type first. NaN equals NaN, and infinity itself.

    Args:
        result: A tensor or any structure of them, on any device.
        reference: The same structure.
        tolerance: What is allowed.
        dtype: The type computed in, whose unit roundoff counts.
        at_least: A magnitude known to occur on the way, such as 1 for gradients of weights from -1 to 1.

    Raises:
        DifferentKindError: If shapes or the number of tensors differ.
    """
    ours, theirs = [_plain(t) for t in tensors_of(result)], [_plain(t) for t in tensors_of(reference)]
    if len(ours) != len(theirs):
        raise DifferentKindError(f"{len(ours)} tensors where the reference has {len(theirs)}")
    unit = torch.finfo(dtype).eps / 2 if dtype.is_floating_point else None
    scale = Scale(tolerance=tolerance, unit=unit, largest=max(at_least, _largest(theirs)))
    found = Difference()
    for a, b in zip(ours, theirs, strict=True):
        found = found.worst(_compare(a, b, scale))
    return found


def comparable(name: str, result: Any) -> Any:
    """What to compare of an operation's result, or of its gradients.

    Of sorting and selecting: the values, not the positions; gradients, which go to whichever of equal elements was
    chosen, in ascending order. Of batch normalisation: the output, not the statistics saved for training.
    """
    if _TIES.search(name):
        floating = [tensor for tensor in tensors_of(result) if tensor.is_floating_point()]
        return [tensor.detach().flatten().sort().values for tensor in floating]
    if _FIRST_ONLY.search(name) and isinstance(result, tuple):
        return result[:1]
    return result
