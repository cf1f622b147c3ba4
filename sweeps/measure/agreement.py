"""Agreement: whether an answer is right, told by comparing it with a trusted one."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workloads.precision import PRECISIONS

_REFERENCE_NAMES = {torch.float64: "cpu fp64", torch.float32: "cpu fp32"}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How outputs compare with the reference; columns of the trials table.

    Attributes:
        reference: What the reference was.
        max_abs_diff: Largest absolute difference.
        max_rel_diff: That over the largest magnitude of the reference; None if that is zero.
        max_softmax_diff: Largest difference of class probabilities; None where outputs are not items x classes.
        top1_agreement_ratio: Share of items with the same best class, whose values are all finite; None likewise.
        n_nonfinite: NaN or infinity where the reference is finite.
    """

    reference: str
    max_abs_diff: float | None
    max_rel_diff: float | None
    max_softmax_diff: float | None
    top1_agreement_ratio: float | None
    n_nonfinite: int


def reference_name(reference: torch.Tensor) -> str:
    """What the reference is called in the row, told from the type it was computed in, such as ``cpu fp64``."""
    return _REFERENCE_NAMES.get(reference.dtype, f"cpu {str(reference.dtype).removeprefix('torch.')}")


def compare_outputs(outputs: torch.Tensor, reference: torch.Tensor) -> Agreement:
    """Compare outputs with a reference of the same shape, items first, both on the CPU.

    Args:
        outputs: Of the device and precision in question, as floating point of any width.
        reference: The CPU's answer, in fp64 where that is cheap, else in fp32.

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
    return Agreement(
        reference=reference_name(reference),
        max_abs_diff=difference,
        max_rel_diff=None if difference is None or not largest else difference / largest,
        max_softmax_diff=softmax,
        top1_agreement_ratio=top1,
        n_nonfinite=n_nonfinite,
    )


def wrong_reason(agreement: Agreement, precision: str, tolerance: float | None = None) -> str | None:
    """Why an answer is wrong rather than rounded, or None if its precision explains the differences.

    Args:
        agreement: How the outputs compare.
        precision: What they were computed in.
        tolerance: The workload's own bound on ``max_rel_diff``, where its work rounds more coarsely than the precision.
    """
    if agreement.n_nonfinite:
        return f"{agreement.n_nonfinite} values are NaN or infinite where the {agreement.reference} is finite"
    if agreement.max_abs_diff is None:
        return f"no value is finite, neither here nor of the {agreement.reference}"
    allowed = max(PRECISIONS[precision].tolerance, tolerance or 0.0)
    if agreement.max_rel_diff is not None and agreement.max_rel_diff > allowed:
        difference = f"{agreement.max_rel_diff:.3g} of its largest value"
        return f"differs from the {agreement.reference} by {difference}; {precision} explains {allowed:g}"
    return None
