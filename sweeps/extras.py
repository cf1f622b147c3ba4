"""What a cell is asked once, after its rounds: transfers, FLOPs, leaks, time to target, agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.config import MeasureConfig, TrialConfig
from sweeps.measure.leak import check_leak
from sweeps.measure.limits import limits_columns
from sweeps.measure.numerics import compare_outputs, wrong_reason
from sweeps.measure.transfer import measure_transfers
from sweeps.outcome import WrongResultError
from workloads.base import Comparable, Transferable, Workload

if TYPE_CHECKING:
    import torch


def training_columns(curve: Sequence[Mapping[str, Any]], target: float | None) -> dict[str, Any]:
    """Best and last held-out accuracy of a cell's rounds, and seconds and joules to the target.

    Args:
        curve: The rounds in order, with ``accuracy``, ``loss``, ``elapsed_s`` and ``energy_j``.
        target: The accuracy asked for, 0 to 1.
    """
    scored = [entry for entry in curve if entry.get("accuracy") is not None]
    if not scored:
        return {}
    best = max(entry["accuracy"] for entry in scored)
    columns = {
        "accuracy_best": best, "accuracy_final": scored[-1]["accuracy"], "loss_final": scored[-1].get("loss"),
        "target_accuracy": target,
    }  # fmt: skip
    reached = (
        None if target is None else next((i for i, e in enumerate(curve) if (e.get("accuracy") or 0) >= target), None)
    )
    if reached is not None:
        columns["time_to_target_s"] = curve[reached]["elapsed_s"]
        spent = [entry["energy_j"] for entry in curve[: reached + 1]]
        columns["energy_to_target_j"] = sum(spent) if all(joules is not None for joules in spent) else None
    return columns


def final_columns(
    workload: Workload,
    device: torch.device,
    cell: TrialConfig,
    measure: MeasureConfig,
    row: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Columns of the trials table, a few at a time, so that a failure late keeps what came before.

    Raises:
        WrongResultError: The answer disagrees with the reference beyond what the precision explains.
    """
    n_train = row.get("n_train_items")
    if n_train:
        yield {"epochs_run": sum(entry["items"] for entry in curve) / n_train}
    yield training_columns(curve, cell.options.get("target_accuracy"))
    yield limits_columns(workload.step, row)
    if isinstance(workload, Transferable):
        # Steps that were synchronised one by one and copy nothing have timed the computation already.
        is_timed = getattr(workload, "step_is_compute", False) and row.get("steps_per_sample") == 1
        known_s = row.get("step_median_s") if is_timed else None
        yield asdict(measure_transfers(device, workload.host_batch(), workload.compute, known_s))
    if measure.leak_check:
        yield asdict(check_leak(workload.step, getattr(workload, "step_varying", None), device))
    if isinstance(workload, Comparable):
        outputs, reference = workload.outputs_and_reference()
        agreement = compare_outputs(outputs, reference)
        yield asdict(agreement)
        wrong = wrong_reason(agreement, cell.precision, getattr(workload, "relative_tolerance", None))
        if wrong is not None:
            raise WrongResultError(wrong)
