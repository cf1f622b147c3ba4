"""Agreement: whether an answer is right, told by comparing it with a trusted one, and in which precision it was had."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from workloads.models.rounding import ROUNDED_BITS
from workloads.models.training.first_steps import FirstSteps
from workloads.precision import PRECISIONS, product_type

_REFERENCE_NAMES = {torch.float64: "cpu fp64", torch.float32: "cpu fp32"}
LEAST_SPREAD = 1e-6
"""Of the reference's largest magnitude; a reference that varies less between items is the same for all."""
MOST_TIMES = {name: 30.0 if row.stored_bits > ROUNDED_BITS else 4.0 for name, row in PRECISIONS.items()}
"""What rounding explains of a gradient, times this, is no error; in fp32 the order of summation is the device's."""
MOST_EXPLAINED = 0.5
"""Of the gradient: where rounding alone changes more of it, nothing else can be told from it."""
_COARSEST_TIMES = 4.0
"""Of what bfloat16 explains: from there on a type of four bits fewer would explain more."""
_TYPES = {product_type(name): row.stored_bits for name, row in PRECISIONS.items() if row.quantised is None}
"""Those that round; what scales of 8-bit numbers do is not told by their bits alone."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How outputs compare with the reference; columns of the trials table.

    Attributes:
        reference: What the reference was.
        n_compared: Items.
        max_abs_diff: Largest absolute difference.
        max_rel_diff: That over the largest magnitude of the reference; None if that is zero.
        max_softmax_diff: Largest difference of class probabilities; None where outputs are not items x classes.
        top1_agreement_ratio: Share of items with the same best class, whose values are all finite; None likewise.
        n_nonfinite: NaN or infinity where the reference is finite.
        rms_rel_diff: Root mean square of the difference over that of the reference; None if that is zero.
        rounding_rel_diff: The same as the precision's rounding alone makes it; None where that is not known.
        agreement_reason: Why a figure is None though there is a reference.
    """

    reference: str
    n_compared: int
    max_abs_diff: float | None
    max_rel_diff: float | None
    max_softmax_diff: float | None
    top1_agreement_ratio: float | None
    n_nonfinite: int | None
    rms_rel_diff: float | None = None
    rounding_rel_diff: float | None = None
    agreement_reason: str | None = None


def reference_name(reference: torch.Tensor) -> str:
    """What the reference is called in the row, told from the type it was computed in, such as ``cpu fp64``."""
    return _REFERENCE_NAMES.get(reference.dtype, f"cpu {str(reference.dtype).removeprefix('torch.')}")


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def relative_rms(values: torch.Tensor, reference: torch.Tensor) -> float | None:
    """Root mean square of the difference over that of the reference, of what is finite in both; None if that is zero.

    Args:
        values: Of any shape, on the CPU.
        reference: Of the same shape, on the CPU.
    """
    ours, theirs = values.double(), reference.double()
    finite = torch.isfinite(ours) & torch.isfinite(theirs)
    size = _rms(theirs[finite]) if finite.any() else 0.0
    return _rms((ours - theirs)[finite]) / size if size else None


def rounding_in(precision: str, by_ten_bits: float | None) -> float | None:
    """What rounding in a precision does, told from ``ROUNDED_BITS``: it is proportional to the unit roundoff.

    None of a quantised one, whose scales decide.
    """
    row = PRECISIONS[precision]
    known = by_ten_bits if row.quantised is None else None
    return math.ldexp(known, ROUNDED_BITS - row.stored_bits) if known else None


def compare_outputs(
    outputs: torch.Tensor, reference: torch.Tensor, rounded: torch.Tensor | None = None, precision: str = "fp32"
) -> Agreement:
    """Compare outputs with a reference of the same shape, items first, both on the CPU.

    Args:
        outputs: Of the device and precision in question, as floating point of any width.
        reference: The CPU's answer, in fp64 or fp32.
        rounded: Some of the reference's items, from the first on, as products of ``ROUNDED_BITS`` stored bits leave
            them; None if unknown.
        precision: What the outputs were computed in.

    Raises:
        ValueError: If the shapes differ or there is nothing to compare.
    """
    if outputs.shape != reference.shape or outputs.numel() == 0:
        raise ValueError(
            f"one shape with elements is needed, got {tuple(outputs.shape)=} and {tuple(reference.shape)=}"
        )
    ours, theirs = outputs.double(), reference.double()
    finite = torch.isfinite(ours) & torch.isfinite(theirs)
    n_nonfinite = int((~torch.isfinite(ours) & torch.isfinite(theirs)).sum())
    if not finite.any():
        difference = largest = None
    else:
        difference = float((ours - theirs)[finite].abs().max())
        largest = float(theirs[finite].abs().max())
    softmax = top1 = None
    if ours.ndim == 2 and ours.shape[1] > 1:
        probabilities = (ours.softmax(1) - theirs.softmax(1)).abs()
        softmax = float(probabilities.max()) if torch.isfinite(probabilities).all() else None
        # The best class of NaN is class 0, and two that are NaN agree on nothing.
        top1 = float(((ours.argmax(1) == theirs.argmax(1)) & finite.all(1)).double().mean())
    both = 0 if rounded is None else min(len(rounded), len(reference))
    by_ten_bits = None if rounded is None else relative_rms(rounded[:both], reference[:both])
    return Agreement(
        reference=reference_name(reference),
        n_compared=len(reference),
        max_abs_diff=difference,
        max_rel_diff=None if difference is None or not largest else difference / largest,
        max_softmax_diff=softmax,
        top1_agreement_ratio=top1,
        n_nonfinite=n_nonfinite,
        rms_rel_diff=relative_rms(outputs, reference),
        rounding_rel_diff=rounding_in(precision, by_ten_bits),
    )


def compare_training(found: FirstSteps, precision: str) -> dict[str, Any]:
    """Columns of the trials table on the first steps of a training: losses, and the gradient of the first.

    Args:
        found: What the steps came to, on the device and on the CPU.
        precision: Of those on the device.
    """
    own, reference, rounded = found.own, found.reference, found.rounded
    if own is None or reference is None or rounded is None:
        return {"agreement_reason": found.reason}
    losses = zip(own.losses, reference.losses, strict=True)
    apart = [abs(ours - theirs) / abs(theirs) for ours, theirs in losses if math.isfinite(theirs) and theirs]
    ours, theirs = own.gradient, reference.gradient
    explained = relative_rms(rounded.gradient, theirs)
    columns = {
        "reference": reference_name(theirs),
        "n_compared": found.n_items,
        "loss_rel_diff": None if not apart or any(math.isnan(off) for off in apart) else max(apart),
        "n_nonfinite": int((~torch.isfinite(ours) & torch.isfinite(theirs)).sum()),
        "rounding_rel_diff": explained,
    }
    if explained is not None and explained > MOST_EXPLAINED:
        told = f"rounding in {precision} alone changes the first gradient by {100 * explained:.0f} % of itself"
        return {**columns, "agreement_reason": told}
    return {
        **columns,
        "gradient_cosine": float(torch.nn.functional.cosine_similarity(ours, theirs, dim=0)),
        "rms_rel_diff": relative_rms(ours, theirs),
    }


def wrong_training(columns: Mapping[str, Any], precision: str) -> str | None:
    """Why a training's first steps are wrong rather than rounded, or None.

    Args:
        columns: Of ``compare_training``.
        precision: Of the steps.
    """
    if columns.get("reference") is None:
        return None
    if columns["n_nonfinite"]:
        return f"{columns['n_nonfinite']} values of the first gradient are NaN or infinite"
    allowed, off = PRECISIONS[precision].tolerance, columns["loss_rel_diff"]
    if off is not None and not off <= allowed:
        return f"a loss of the first steps is off by {off:.3g} of itself; {precision} explains {allowed:g}"
    rms, explained = columns.get("rms_rel_diff"), columns["rounding_rel_diff"]
    if rms is None or not explained or rms <= MOST_TIMES[precision] * explained:
        return None
    return f"the first gradient is off by {rms:.3g} of itself (RMS), where {precision} explains {explained:.3g}"


def that_can_fail(agreement: Agreement, reference: torch.Tensor) -> Agreement:
    """Agreement without what no answer could have failed: a reference that is the same for all items tells nothing."""
    n = len(reference)
    spread, largest = float((reference - reference[:1]).abs().max()), float(reference.abs().max())
    if n > 1 and spread <= LEAST_SPREAD * largest:
        told = f"the reference's answers to all {n} items are the same"
        figures = {f.name: None for f in dataclasses.fields(agreement)}
        kept: dict[str, Any] = {"reference": agreement.reference, "n_compared": n, "agreement_reason": told}
        return Agreement(**{**figures, **kept})
    if agreement.top1_agreement_ratio is not None and n > 1 and reference.argmax(1).unique().numel() == 1:
        told = f"the reference's best class of all {n} items is {int(reference[0].argmax())}"
        return dataclasses.replace(agreement, top1_agreement_ratio=None, agreement_reason=told)
    return agreement


def nearest_type(rms_rel_diff: float, rounding_rel_diff: float, precision: str) -> str | None:
    """The type whose rounding explains a difference best; None if it is too large for any.

    This cannot distinguish types with equally many bits: where the precision's own is one of them, it is returned.

    Args:
        rms_rel_diff: Of the outputs.
        rounding_rel_diff: What the precision's rounding explains.
        precision: Of the outputs.
    """
    if not rms_rel_diff:
        return product_type("fp32")
    bits = PRECISIONS[precision].stored_bits - math.log2(rms_rel_diff / rounding_rel_diff)
    if bits < min(_TYPES.values()) - math.log2(_COARSEST_TIMES):
        return None
    own = product_type(precision)
    return min(_TYPES, key=lambda name: (abs(_TYPES[name] - bits), name != own))


def wrong_reason(
    agreement: Agreement, precision: str, tolerance: float | None = None, *, is_seen: bool = False
) -> str | None:
    """Why an answer is wrong rather than rounded, or None if its precision explains the differences.

    Args:
        agreement: How the outputs compare.
        precision: What they were computed in.
        tolerance: The workload's own bound on ``max_rel_diff``, where its work rounds more coarsely than the precision.
        is_seen: The type of the products was seen, so that an answer may be better than the precision's.
    """
    if agreement.n_nonfinite:
        return f"{agreement.n_nonfinite} values are NaN or infinite where the {agreement.reference} is finite"
    if agreement.max_abs_diff is None:
        return f"no value is finite, neither here nor in the {agreement.reference}"
    if agreement.rms_rel_diff is not None and agreement.rounding_rel_diff is not None:
        return _other_precision(agreement.rms_rel_diff, agreement.rounding_rel_diff, precision, is_seen=is_seen)
    allowed = max(PRECISIONS[precision].tolerance, tolerance or 0.0)
    if agreement.max_rel_diff is not None and agreement.max_rel_diff > allowed:
        difference = f"{agreement.max_rel_diff:.3g} of its largest value"
        return f"differs from the {agreement.reference} by {difference}; {precision} explains {allowed:g}"
    return None


def _other_precision(found: float, explained: float, precision: str, *, is_seen: bool) -> str | None:
    """Why a difference is another precision's than this one's."""
    nearest, own = nearest_type(found, explained, precision), product_type(precision)
    if nearest == own or (is_seen and found < explained and own != "tf32"):
        return None
    told = "more than any precision explains" if nearest is None else f"as if computed in {nearest}"
    return f"differs from the reference by {found:.3g} (RMS), where {precision} explains {explained:.3g}: {told}"
