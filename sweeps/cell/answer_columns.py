"""Whether a cell's answer is right and its precision the one that it is called, as columns; judged last of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.cell.outcome import WrongResultError
from sweeps.measure.agreement import compare_outputs, wrong_reason
from sweeps.measure.compile_caches import warm_compile_s
from sweeps.measure.products import ProductTypes, wrong_type
from sweeps.measure.timing.clock import Timer
from sweeps.plan.config import TrialConfig
from workloads.base import Comparable, Extras, Workload

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
    computed = products.columns(cell.precision, is_compiled=extras.is_compiled)
    yield dict(computed)
    wrong = wrong_type(computed["computed_dtype"], cell.precision)
    if isinstance(workload, Comparable):
        agreement = compare_outputs(*workload.outputs_and_reference())
        yield asdict(agreement)
        wrong = wrong or wrong_reason(agreement, cell.precision, extras.relative_tolerance)
    # Forgets what was compiled, which has given its answers.
    if row.get("compile_s") is not None and row.get("step_median_s") is not None:
        yield {"compile_warm_s": warm_compile_s(workload.step, Timer(device).time, row["step_median_s"])}
    if wrong is not None:
        raise WrongResultError(wrong)
