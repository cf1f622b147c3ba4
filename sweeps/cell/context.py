"""What a workload is handed of a cell, and what becomes of its rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps.measure.device.allocators import check_allocator
from sweeps.measure.device.device import memory_of, open_device, set_threads, synchronize, unsupported_reason
from sweeps.measure.device.memory_counters import memory_now
from sweeps.measure.monitors.memory import resident_bytes
from sweeps.measure.timing.clock import Timer
from sweeps.plan.cell_options import options_instance
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.store.rows import round_columns
from workloads.base import CellContext, Workload
from workloads.models.runtimes.table import TORCH
from workloads.precision import apply_precision
from workloads.registry import load_workload
from workloads.runtime.group import Group
from workloads.runtime.late import wait_for_imports

if TYPE_CHECKING:
    import torch


def lacking(device: torch.device, cell: TrialConfig) -> str | None:
    """Why PyTorch cannot compute a cell on a device; None where it can, or where another runtime says what it can.

    Asked once nothing is imported beside it any more: a library that a precision needs would meet what stands in the
    place of torch's compiler meanwhile.
    """
    wait_for_imports()
    is_elsewhere = cell.options.get("runtime") not in (None, TORCH)
    return None if is_elsewhere else unsupported_reason(device, cell.precision)


def context_of(
    cell: TrialConfig, device: torch.device, measure: MeasureConfig, group: Group
) -> tuple[type[Workload], CellContext]:
    """A cell's workload, and the cell as that takes it in one of the processes that compute it."""
    check_allocator(cell.allocator)
    kind = load_workload(cell.workload)
    return kind, CellContext(
        device=device, batch_size=cell.batch_size, precision=cell.precision, model=cell.model,
        memory_format=cell.memory_format, compile=cell.compile, seed=cell.seed,
        options=options_instance(kind, dict(cell.options)), memory=memory_of(device),
        n_compared=measure.n_compared, compared_s=measure.max_s, group=group,
    )  # fmt: skip


def round_row(
    timed: Mapping[str, Any],
    joules: tuple[float | None, float | None],
    device: torch.device,
    reached: Mapping[str, Any],
) -> dict[str, Any]:
    """A row of the rounds table.

    Args:
        timed: Its ``round``, ``elapsed_s``, ``seconds`` and ``items``.
        joules: The energy counter before and after; None where there is none.
        device: For its memory.
        reached: What the workload says of the round.
    """
    before, after = joules
    return {
        **timed, "throughput_items_per_s": timed["items"] / timed["seconds"], "rss_bytes": resident_bytes(),
        "energy_j": None if before is None or after is None else after - before,
        "device_bytes": memory_now(device).allocated_bytes, **round_columns(reached),
    }  # fmt: skip


def first_step_s(cell: TrialConfig, n_threads: int) -> float:
    """Seconds of the first step of a cell in this process, after its set-up."""
    set_threads(n_threads)
    device = open_device(cell.device)
    apply_precision(cell.precision)
    kind, context = context_of(cell, device, MeasureConfig(), Group())
    workload = kind(context)
    try:
        workload.setup()
        synchronize(device)
        return Timer(device).time(workload.step)
    finally:
        workload.teardown()
