"""Whether a cell's answer is right and its precision the one that it is called, as columns; judged last of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.cell.outcome import WrongResultError
from sweeps.measure.agreement import (
    Agreement,
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


def batch_seconds(extras: Extras, row: Mapping[str, Any]) -> float | None:
    """Median seconds of the workload's own step, a batch, of which a query that was timed may hold several."""
    query_s = row.get("step_median_s")
    return None if query_s is None else query_s / extras.sending.scenario.n_batches


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
    batch_s = batch_seconds(extras, row)
    if cell.compile != AHEAD and row.get("compile_s") is not None and batch_s is not None:
        yield {"compile_warm_s": warm_compile_s(workload.step, Timer(device).time, batch_s)}
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
    n, flops, of_all = extras.sending.scenario.n_batches, extras.weights_flops, row.get("flops_per_step")
    return {"quantised_share_ratio": min(1.0, n * flops / of_all) if flops and of_all else None}


def _by_name(outputs: Any) -> Mapping[str, torch.Tensor]:
    """Outputs by name, of which a tensor has none."""
    return outputs if isinstance(outputs, Mapping) else {} if outputs is None else {"": outputs}


def _over_rounding(found: Agreement) -> float:
    """How far an output differs, in terms of what rounding explains, where that is known."""
    return (found.rms_rel_diff or 0.0) / (found.rounding_rel_diff or 1.0)


def _judged(
    name: str, output: torch.Tensor, reference: torch.Tensor, rounded: torch.Tensor | None, precision: str,
    extras: Extras, computed: Mapping[str, Any],
) -> tuple[Agreement, str | None, dict[str, Any]]:  # fmt: skip
    """How one output compares, why it is wrong if it is, and the columns that say so."""
    found = compare_outputs(output, reference, rounded, precision)
    wrong = wrong_reason(
        found, precision, extras.relative_tolerance, is_seen=computed["computed_dtype"] is not None
    )  # fmt: skip
    columns = asdict(that_can_fail(found, reference) if wrong is None else found)
    if name:
        wrong = wrong and f"{name}: {wrong}"
    return found, wrong, {**columns, "compared_output": name or None}


def _agreement(
    workload: Comparable, extras: Extras, precision: str, computed: Mapping[str, Any]
) -> tuple[dict[str, Any], str | None]:
    """How the answers compare with the reference, as columns, and why they are wrong.

    Where the products of what was compiled were not seen, their type is the one that the answers show.
    """
    if extras.incomparable is not None:
        return {"agreement_reason": extras.incomparable}, None
    outputs, reference = (_by_name(given) for given in workload.outputs_and_reference())
    rounded = _by_name(None if extras.rounded_reference is None else extras.rounded_reference())
    judged = [
        _judged(name, output, reference[name][: len(output)], rounded.get(name), precision, extras, computed)
        for name, output in outputs.items() if name in reference
    ]  # fmt: skip
    if not judged:
        told = "no output of floating-point numbers has a value for each item, whatever the others are"
        if outputs and reference:
            told = f"the answers are {', '.join(outputs)}, those of the reference {', '.join(reference)}"
        return {"agreement_reason": told}, None
    found, wrong, columns = max(judged, key=lambda one: (one[1] is not None, _over_rounding(one[0])))
    if computed["computed_dtype_reason"] == NOT_SEEN and found.rms_rel_diff is not None and found.rounding_rel_diff:
        shown = nearest_type(found.rms_rel_diff, found.rounding_rel_diff, precision)
        columns |= {"computed_dtype": shown, "computed_dtype_reason": NOT_SEEN if shown is None else None}
    return columns, wrong
