"""What a cell is asked once, after its rounds, as columns of the trials table: from training to agreement."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analysis.contract.plausible import CEILING_AGAIN, plausible
from sweeps.cell.answer_columns import answer_columns, batch_seconds
from sweeps.cell.device_facts import DeviceFacts
from sweeps.cell.starts import start_columns
from sweeps.cell.training_columns import training_columns, training_energy
from sweeps.measure.device.allocators import environment_of
from sweeps.measure.monitors.energy import energy_figures, sustained_energy
from sweeps.measure.monitors.energy_sources import EnergySource, open_energy_source
from sweeps.measure.monitors.leak import check_leak
from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import limits_columns, shares
from sweeps.measure.timing.clock import Timer
from sweeps.measure.timing.transfer import measure_transfers
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.base import AHEAD, Countable, Extras, Transferable, Workload

if TYPE_CHECKING:
    import torch


def compile_seconds(compile_mode: str, workload: Workload, row: Mapping[str, Any]) -> float | None:
    """Compilation's share of the first batch: what it took over one of the steady state; None if none is compiled.

    Some implementations are compiled whatever the mode.
    """
    extras = Extras.of(workload)
    first_s: float | None = row["first_step_s"]
    batch_s = batch_seconds(extras, row)
    if (compile_mode == "none" and not extras.is_compiled) or first_s is None or batch_s is None:
        return None
    return max(0.0, first_s - batch_s)


def final_columns(  # noqa: PLR0913 (all that a cell has come to)
    workload: Workload,
    device: torch.device,
    cell: TrialConfig,
    measure: MeasureConfig,
    row: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
    facts: DeviceFacts | None = None,
    *,
    products: ProductTypes | None = None,
    source: EnergySource | None = None,
) -> Iterator[dict[str, Any]]:
    """Columns of the trials table, a few at a time, so that a failure late keeps what came before.

    ``row`` is the cell's own, into which each yield goes before the next; by ``facts`` ceilings are measured once more
    where the cell does more than they allow. ``products`` has seen the graphs of a compiled step, and is to see an
    eager one; ``source`` counts the energy of all devices of the cell.

    Raises:
        WrongResultError: See ``answer_columns``.
    """
    products = products or ProductTypes()
    extras = Extras.of(workload)
    if measure.is_recheck:
        yield {"learned": None}  # an epoch tells the speed; what it taught is no result of the training
    else:
        yield from _of_training(workload, extras, device, row, curve, source or open_energy_source(device))
    if "max_rate_per_s" in row:
        # The window held every rate that was tried, the items are those of the best: nothing follows for an item.
        yield energy_figures(None, 0.0, 0, 0.0)
    limits = _of_limits(workload, extras, row, device, cell.precision, facts, products)
    yield limits | plausible({**row, **limits})
    if isinstance(workload, Transferable) and (host := workload.host_batch()) is not None:
        # Steps that were synchronised one by one and copy nothing have timed the computation already.
        is_timed = extras.step_is_compute and row.get("steps_per_sample") == 1
        known_s = batch_seconds(extras, row) if is_timed else None
        yield asdict(measure_transfers(device, host, workload.compute, known_s))
    if measure.leak_check:
        yield asdict(check_leak(workload.step, extras.step_varying, device))
    if cell.compile == AHEAD:
        yield start_columns(cell, row["n_threads"], environment_of(cell.allocator))
    yield from answer_columns(workload, extras, device, cell, row, products)


def _of_limits(
    workload: Workload,
    extras: Extras,
    row: Mapping[str, Any],
    device: torch.device,
    precision: str,
    facts: DeviceFacts | None,
    products: ProductTypes,
) -> dict[str, Any]:
    """The limits; where the cell does more than its ceilings, which a busy machine had lowered, by ceilings anew."""
    row = {**row, "step_median_s": batch_seconds(extras, row)}
    is_opaque = extras.is_compiled or extras.product_types is not None
    if isinstance(workload, Countable) and is_opaque:
        columns: dict[str, Any] = limits_columns(workload.plain_step, row, compiled_bytes=workload.least_bytes)
    else:
        with products:
            columns = limits_columns(workload.step, row)
    if facts is not None and "limits_note" in plausible(columns):
        columns |= {**facts.take_ceilings_again(device, precision), "limits_note": CEILING_AGAIN}
        columns |= shares({**row, **columns})
    for name in ("flops_per_step", "bytes_per_step"):
        columns[name] = columns[name] and columns[name] * extras.sending.scenario.n_batches
    return columns


def _of_training(
    workload: Workload,
    extras: Extras,
    device: torch.device,
    row: Mapping[str, Any],
    curve: Sequence[Mapping[str, Any]],
    source: EnergySource,
) -> Iterator[dict[str, Any]]:
    if row.get("n_train_items"):
        yield {"epochs_run": sum(entry["items"] for entry in curve) / row["n_train_items"]}
    trained = training_columns(curve, extras.target_accuracy)
    yield trained
    if trained:
        run = functools.partial(Timer(device).time, workload.step)
        yield training_energy(
            curve, extras.target_accuracy, source.period_s,
            lambda longest_s: sustained_energy(
                run, source, step_s=row["step_median_s"], items_per_step=workload.items_per_step, longest_s=longest_s
            ),
        )  # fmt: skip
