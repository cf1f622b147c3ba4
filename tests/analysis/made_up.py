"""Made-up cells of an accelerator beside a CPU, for pages that a machine without one cannot fill."""

from __future__ import annotations

import math
from typing import Any

from tests.analysis.conftest import row

FLOPS_PER_ITEM, BYTES_PER_ITEM, WEIGHT_BYTES = 8e8, 1.2e8, 2e7
CEILING_FLOP_PER_S = {"fp32": 5e13, "bf16": 6e14}
CEILING_BYTES_PER_S = 3e12
OVERHEAD_S = 2e-3
BATCHES = (1, 4, 16, 64, 256)


def accelerator(index: int, batch: int, precision: str, **values: Any) -> dict[str, Any]:
    """A complete cell that moves memory at half its bandwidth after 2 ms of launching."""
    width = 1.0 if precision == "fp32" else 0.5
    flops, moved = FLOPS_PER_ITEM * batch, (BYTES_PER_ITEM * batch + WEIGHT_BYTES) * width
    step = OVERHEAD_S + 2 * moved / CEILING_BYTES_PER_S
    watts = 120 + 480 * (1 - OVERHEAD_S / step) ** 3  # the last bit of speed costs most
    peak = int(WEIGHT_BYTES + 1.5 * BYTES_PER_ITEM * width * batch)
    copy_in = 2e-5 + batch * 6e5 / 8e9
    return row(
        index, device="gpu", device_name="Accelerator 9000", batch_size=batch, precision=precision, step_median_s=step,
        latency_p50_s=step, latency_p90_s=1.05 * step, latency_p95_s=1.1 * step, latency_p99_s=1.3 * step, n_samples=2000,
        steps_per_sample=1, flops_per_step=flops, bytes_per_step=moved, achieved_flop_per_s=flops / step,
        achieved_bytes_per_s=moved / step, intensity_flop_per_byte=flops / moved,
        ceiling_flop_per_s=CEILING_FLOP_PER_S[precision], ceiling_bytes_per_s=CEILING_BYTES_PER_S,
        flop_share_ratio=flops / step / CEILING_FLOP_PER_S[precision],
        bandwidth_share_ratio=moved / step / CEILING_BYTES_PER_S, energy_j=watts * 5.0, energy_window_s=5.0,
        energy_per_item_j=watts * step / batch, items_per_j=batch / (watts * step), mean_power_w=watts,
        peak_power_w=1.1 * watts, idle_power_w=75.0, energy_source="nvml", energy_domain="gpu board",
        static_bytes=int(WEIGHT_BYTES), device_peak_allocated_bytes=peak,
        device_peak_reserved_bytes=math.ceil(1.1 * peak / 2**21) * 2**21, device_total_bytes=80 * 2**30,
        host_total_bytes=64 * 2**30, peak_rss_bytes=3 * 2**30, copy_in_s=copy_in, compute_s=step, copy_out_s=3e-5,
        overlapped_step_s=max(step, copy_in) + 1e-4, copy_share_ratio=(copy_in + 3e-5) / (copy_in + 3e-5 + step),
        h2d_pageable_bytes_per_s=8e9, h2d_pinned_bytes_per_s=5.5e10, h2d_nonblocking_bytes_per_s=5.6e10,
        d2h_pageable_bytes_per_s=7e9, d2h_pinned_bytes_per_s=5.4e10, unified_memory=False, leak_verdict="none",
        leak_shapes="fixed", leak_device_bytes_per_step=0.0, leak_device_low_bytes_per_step=0.0,
        leak_device_high_bytes_per_step=0.0, leak_host_bytes_per_step=900.0, leak_host_low_bytes_per_step=-2000.0,
        leak_host_high_bytes_per_step=4000.0, **values,
    )  # fmt: skip


def failed(index: int, batch: int, precision: str, status: str = "oom", **values: Any) -> dict[str, Any]:
    """A cell of the accelerator that did not finish well, with the columns that such a cell has."""
    kept = ("schema_version", "sweep_id", "trial_key", "trial_index", "workload", "model", "memory_format", "compile",
            "scenario", "item", "items_per_step", "weights", "host", "torch_version", "options", "device_total_bytes",
            "device_name")  # fmt: skip
    whole = accelerator(index, batch, precision)
    return {k: whole[k] for k in kept} | {
        "status": status, "device": "gpu", "precision": precision, "batch_size": batch,
        "error_message": "no <b>memory</b> | left", **values,
    }  # fmt: skip


def machine() -> list[dict[str, Any]]:
    """Two precisions over batch sizes up to one that does not fit, and a CPU of whose energy nothing is known."""
    rows = [accelerator(i, batch, "fp32") for i, batch in enumerate(BATCHES)]
    rows += [accelerator(10 + i, batch, "bf16") for i, batch in enumerate(BATCHES)]
    rows += [failed(20, 1024, "fp32"), failed(21, 1024, "bf16")]
    rows += [
        row(30 + i, batch_size=batch, step_median_s=0.02 + 0.03 * batch, peak_rss_bytes=2**30 + batch * 2**23,
            host_total_bytes=64 * 2**30, static_bytes=int(WEIGHT_BYTES), copy_in_s=1e-5, copy_out_s=1e-6,
            compute_s=0.02 + 0.03 * batch, copy_share_ratio=1e-4, h2d_pageable_bytes_per_s=9e9, unified_memory=True)
        for i, batch in enumerate(BATCHES[:3])
    ]  # fmt: skip
    return rows


def server(index: int, rate: float, p99_s: float, completed: float | None = None, **values: Any) -> dict[str, Any]:
    """A cell of the server scenario: 1,000 requests at a rate with a deadline of 50 ms."""
    done = rate if completed is None else completed
    plain = {
        "device": "gpu", "scenario": "server", "batch_size": 1, "rate_per_s": rate, "completed_rate_per_s": done,
        "throughput_items_per_s": done, "throughput_low_items_per_s": None, "throughput_high_items_per_s": None,
        "latency_p50_s": p99_s / 3, "latency_p90_s": p99_s / 2, "latency_p95_s": p99_s / 1.5, "latency_p99_s": p99_s,
        "n_samples": 1000, "n_requests": 1000, "n_missed": 10 if p99_s <= 0.05 else 200, "n_dropped": 0,
        "deadline_s": 0.05, "queue_mean": 0.5, "queue_max": 7, "step_median_s": None, "step_median_low_s": None,
        "step_median_high_s": None, "items_per_step": 1,
    }  # fmt: skip
    return {**row(index, batch_size=1), **plain, **values}
