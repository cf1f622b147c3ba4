"""Whether a cell's answer is right and its precision the one that it is called, as columns; judged last of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.cell.outcome import WrongResultError
from sweeps.measure.agreement import (
    compare_outputs,
    compare_training,
    nearest_type,
    that_can_fail,
    wrong_reason,
    wrong_training,
)
from sweeps.measure.compile_caches import warm_compile_s
from sweeps.measure.products import NOT_SEEN, ProductTypes, wrong_type
from sweeps.measure.timing.clock import Timer
from sweeps.plan.config import TrialConfig
from workloads.base import AHEAD, Comparable, Extras, Workload
from workloads.precision import PRECISIONS

if TYPE_CHECKING:
    import torch


def answer_columns(
    workload: Workload,
    extras: Extras,
    device: torch.device,
    cell: TrialConfig,
    row: Mapping[str, Any],
    products: ProductTypes,
) -> Iterator[dict[str, Any]]:
    """Columns of the trials table: agreement, the type of the products, and the price of compiling once more.

    Raises:
        WrongResultError: The answer disagrees with the reference beyond what the precision explains, or products are
            computed in another type than the precision's.
    """
    computed: dict[str, Any] = products.columns(
        cell.precision, is_compiled=extras.is_compiled, elsewhere=extras.product_types
    )
    yield computed | _quantised(extras, cell.precision, row, products)
    wrong = wrong_type(computed["computed_dtype"], cell.precision)
    if isinstance(workload, Comparable):
        columns, disagrees = _agreement(workload, extras, cell.precision, computed)
        yield columns
        wrong = wrong or disagrees
    if extras.first_steps is not None:
        columns = compare_training(extras.first_steps(), cell.precision)
        yield columns
        wrong = wrong or wrong_training(columns, cell.precision)
    # Forgets what was compiled, which has given its answers.
    if cell.compile != AHEAD and row.get("compile_s") is not None and row.get("step_median_s") is not None:
        yield {"compile_warm_s": warm_compile_s(workload.step, Timer(device).time, row["step_median_s"])}
    if wrong is not None:
        raise WrongResultError(wrong)


def _quantised(
    extras: Extras, precision: str, row: Mapping[str, Any], products: ProductTypes
) -> dict[str, float | None]:  # fmt: skip
    """Which share of the products' FLOPs ran quantised; of weights alone, in layers that hold them so."""
    own = PRECISIONS[precision].quantised
    if own is None or extras.product_types is not None:
        return {}
    if not PRECISIONS[precision].is_weight_only:
        return {"quantised_share_ratio": products.share(own)}
    flops, of_all = extras.weights_flops, row.get("flops_per_step")
    return {"quantised_share_ratio": min(1.0, flops / of_all) if flops and of_all else None}


def _agreement(
    workload: Comparable, extras: Extras, precision: str, computed: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """How the answers compare with the reference, as columns, and why they are wrong.

    Where the products of what was compiled were not seen, their type is the one that the answers show.
    """
    outputs, reference = workload.outputs_and_reference()
    rounded = None if extras.rounded_reference is None else extras.rounded_reference()
    found = compare_outputs(outputs, reference, rounded, precision)
    wrong = wrong_reason(
        found, precision, extras.relative_tolerance, is_seen=computed["computed_dtype"] is not None
    )  # fmt: skip
    columns = asdict(that_can_fail(found, reference) if wrong is None else found)
    if computed["computed_dtype_reason"] == NOT_SEEN and found.rms_rel_diff is not None and found.rounding_rel_diff:
        shown = nearest_type(found.rms_rel_diff, found.rounding_rel_diff, precision)
        columns |= {"computed_dtype": shown, "computed_dtype_reason": NOT_SEEN if shown is None else None}
    return columns, wrong
