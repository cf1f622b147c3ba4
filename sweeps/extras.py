"""What a cell is asked once, after its rounds: transfers, FLOPs, leaks, time to target, agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeps.config import MeasureConfig, TrialConfig
from sweeps.measure.energy import energy_figures, energy_of_rounds, open_energy_source
from sweeps.measure.leak import check_leak
from sweeps.measure.limits import limits_columns
from sweeps.measure.numerics import compare_outputs, wrong_reason
from sweeps.measure.transfer import measure_transfers
from sweeps.outcome import WrongResultError
from workloads.base import Comparable, Countable, Transferable, Workload

if TYPE_CHECKING:
    import torch


def compile_seconds(compile_mode: str, first_step_s: float | None, step_median_s: float | None) -> float | None:
    """Compilation's share of the first step: what it took over a step of the steady state."""
    if compile_mode == "none" or first_step_s is None or step_median_s is None:
        return None
    return max(0.0, first_step_s - step_median_s)


def _energy(rounds: Sequence[Mapping[str, Any]], period_s: float) -> dict[str, float | None]:
    n_items = sum(entry["items"] for entry in rounds)
    return energy_of_rounds(
        [entry["energy_j"] for entry in rounds], [entry["seconds"] for entry in rounds], n_items, period_s
    )


def training_columns(
    curve: Sequence[Mapping[str, Any]], target: float | None, period_s: float = float("inf")
) -> dict[str, Any]:
    """Accuracy of a training's rounds, seconds and joules to the target, and energy without the evaluations.

    Args:
        curve: The rounds in order: ``accuracy``, ``loss``, ``elapsed_s``, ``seconds``, ``items`` and ``energy_j``.
        target: The accuracy asked for, 0 to 1.
        period_s: Seconds between two updates of the energy counter; infinite where there is none.
    """
    scored = [entry for entry in curve if entry.get("accuracy") is not None]
    if not scored:
        return {}
    best = max(entry["accuracy"] for entry in scored)
    columns = {
        "accuracy_best": best, "accuracy_final": scored[-1]["accuracy"], "loss_final": scored[-1].get("loss"),
        "target_accuracy": target, **_energy(curve, period_s),
    }  # fmt: skip
    reached = (
        None if target is None else next((i for i, e in enumerate(curve) if (e.get("accuracy") or 0) >= target), None)
    )
    if reached is not None:
        columns["time_to_target_s"] = curve[reached]["elapsed_s"]
        columns["energy_to_target_j"] = _energy(curve[: reached + 1], period_s)["energy_j"]
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
    yield training_columns(curve, cell.options.get("target_accuracy"), open_energy_source(device).period_s)
    if "max_rate_per_s" in row:
        # The window held every rate that was tried, the items are those of the best: nothing follows for an item.
        yield {**energy_figures(None, 0.0, 0, 0.0), "peak_power_w": None}
    if isinstance(workload, Countable) and workload.is_compiled:
        yield limits_columns(workload.plain_step, row, compiled_bytes=workload.least_bytes)
    else:
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
