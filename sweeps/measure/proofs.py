"""The proofs of the self-test: each does something real on the device and says what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from analysis.contract.cells import MIN_SAMPLES
from sweeps.measure.agreement import compare_outputs, wrong_reason
from sweeps.measure.ceilings import measure_copy_ceiling, measure_flop_ceiling
from sweeps.measure.device.device import synchronize, unsupported_reason
from sweeps.measure.device.errors import is_out_of_memory, is_unsupported
from sweeps.measure.monitors.conditions import ConditionMonitor
from sweeps.measure.monitors.energy import EnergyMonitor, least_window_s
from sweeps.measure.monitors.energy_sources import open_energy_source
from sweeps.measure.monitors.leak import check_leak
from sweeps.measure.monitors.memory import MemoryMonitor
from sweeps.measure.timing.clock import Timer
from sweeps.measure.timing.statistics import median_interval, percentiles
from sweeps.measure.timing.timer_proof import verify_timing
from sweeps.measure.timing.transfer import measure_transfers
from workloads.precision import PRECISIONS, autocast, held_dtype

MAX_OVERHEAD_S = 5e-4
LEAK_CHECK_S = 2.0
BUSY_MACHINE_RATIO = 0.1
MAX_ENERGY_S = 10.0
MIB = 2**20
TOO_MANY_ELEMENTS = 2**48
"""One byte each: 256 TiB, which no machine has and which fits in 64-bit sizes of any backend."""

Verdict = tuple[bool | None, str]
"""Shown or not, or None where this machine cannot show it; and what was seen."""


def _percentiles_need_samples() -> Verdict:
    right = True
    for name, least in MIN_SAMPLES.items():
        right &= percentiles(np.arange(least - 1.0))[name] is None
        right &= percentiles(np.arange(float(least)))[name] is not None
    thousand = percentiles(np.arange(1.0, 1001.0))
    right &= (thousand["p50"], thousand["p90"], thousand["p99"], thousand["p999"]) == (500.0, 900.0, 990.0, None)
    return right, ", ".join(f"{name} from {least} samples" for name, least in MIN_SAMPLES.items())


def _interval_covers() -> Verdict:
    """Rounds of skewed samples that differ by more than their own spread: the hard case for an interval."""
    generator, n_trials, covered = np.random.default_rng(0), 300, 0
    for _ in range(n_trials):
        rounds = 1 + 0.005 * generator.standard_normal((10, 1)) + 0.01 * generator.standard_normal((10, 50))
        interval = median_interval(rounds.ravel(), round_sizes=[50] * 10)
        covered += interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high
    return (
        covered >= 0.92 * n_trials,
        f"95 % intervals contained the true median in {covered / n_trials:.0%} of simulations",
    )


def _timer_waits(device: torch.device) -> Verdict:
    proof = verify_timing(device)
    return proof.verified, proof.detail


def _timer_is_cheap(device: torch.device) -> Verdict:
    overhead = Timer(device).overhead_s
    return overhead < MAX_OVERHEAD_S, f"an empty sample takes {overhead * 1e6:.2g} us"


def _precisions(device: torch.device) -> Verdict:
    reasons = {name: unsupported_reason(device, name) for name in PRECISIONS}
    told = [f"{name} {'yes' if reason is None else 'no: ' + reason}" for name, reason in reasons.items()]
    return reasons["fp32"] is None, "; ".join(told)


def _small_network() -> tuple[torch.nn.Module, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, stride=2), torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(512, 10),
        )  # fmt: skip
        return network.eval(), torch.rand(8, 3, 64, 64)


def _agrees(device: torch.device) -> Verdict:
    """Right answers pass in every precision, and a wrong one is caught."""
    network, images = _small_network()
    with torch.inference_mode():
        reference = network(images)
        network, images = network.to(device), images.to(device)
        told, right = [], True
        for precision, row in PRECISIONS.items():
            if row.quantised or row.float32_matmul != "highest" or unsupported_reason(device, precision) is not None:
                continue
            held = held_dtype(precision)
            with autocast(device, precision):
                outputs = network.to(held)(images.to(held)).float().cpu()
            network.float()
            agreement = compare_outputs(outputs, reference)
            right &= wrong_reason(agreement, precision) is None
            told.append(f"{precision} off by {agreement.max_rel_diff:.1g}")
        wrong = reference.clone()
        wrong[0] = reference[0].roll(1)
        wrong[1, 0] = torch.nan
    caught = wrong_reason(compare_outputs(wrong, reference), "fp32") is not None
    return (
        right and caught,
        f"{', '.join(told)} of the CPU's fp32; a planted wrong answer was {'' if caught else 'not '}caught",
    )


def _finds_leak(device: torch.device) -> Verdict:
    kept: list[torch.Tensor] = []
    leaky = check_leak(lambda: kept.append(torch.ones(MIB // 4, device=device)), None, device, max_s=LEAK_CHECK_S)
    kept.clear()
    a = torch.ones(64, 64, device=device)
    clean = check_leak(lambda: a @ a, None, device, max_s=LEAK_CHECK_S)
    slope = leaky.leak_host_bytes_per_step if device.type == "cpu" else leaky.leak_device_bytes_per_step
    told = f"a planted leak of 1 MiB a step: {leaky.leak_verdict}, {(slope or 0) / MIB:.2f} MiB"
    return leaky.leak_verdict == "leak" and clean.leak_verdict == "none", f"{told}; a clean loop: {clean.leak_verdict}"


def _sees_peak(device: torch.device) -> Verdict:
    column = "peak_rss_bytes" if device.type == "cpu" else "device_peak_allocated_bytes"
    with MemoryMonitor(device) as memory:
        before = memory.columns()[column] or 0
        block = torch.ones(64 * MIB, dtype=torch.uint8, device=device)
        synchronize(device)
        time.sleep(0.15)  # where there is no peak counter the peak is sampled
        del block
        grown = (memory.columns()[column] or 0) - before
    return grown > 48 * MIB, f"64 MiB held briefly: the peak rose by {grown / MIB:.0f} MiB"


def _transfers(device: torch.device) -> Verdict:
    seen = measure_transfers(device, torch.rand(8, 3, 224, 224), lambda batch: batch.mean((2, 3)))
    pinned = seen.h2d_pinned_bytes_per_s
    told = (
        f"to the device {seen.h2d_pageable_bytes_per_s / 1e9:.3g} GB/s, back {seen.d2h_pageable_bytes_per_s / 1e9:.3g}"
    )
    told += "" if pinned is None else f", pinned {pinned / 1e9:.3g}"
    return min(seen.h2d_pageable_bytes_per_s, seen.d2h_pageable_bytes_per_s, seen.copy_in_s) > 0, told


def _energy(device: torch.device) -> Verdict:
    source = open_energy_source(device)
    if source.read_j() is None:
        return None, "no counter that this process may read; energy columns will be null"
    told, window_s = f"{source.name}, {source.domain}", least_window_s(source.period_s)
    if window_s > MAX_ENERGY_S:
        return None, f"{told}: its counter updates so rarely that only windows of {window_s:.0f} s count (--min-s)"
    a = torch.rand(512, 512, device=device)
    synchronize(device)
    with EnergyMonitor(source) as energy:
        end, n = time.monotonic() + 1.1 * window_s, 0
        while time.monotonic() < end:
            a @ a
            synchronize(device)
            n += 1
        watts = energy.columns(n).get("mean_power_w")
    return watts is not None, told + (": the counter stood still" if watts is None else f": {watts:.3g} W under load")


def _classifies(device: torch.device) -> Verdict:
    """Real errors, raised by the device: too much memory, and an operation that no backend has for half precision."""
    try:
        torch.empty(TOO_MANY_ELEMENTS, dtype=torch.uint8, device=device)
        return False, "256 TiB were handed out"
    except Exception as error:
        full = is_out_of_memory(error) and not is_unsupported(error)
        raised = type(error).__name__
    try:
        torch.linalg.inv(torch.eye(2, dtype=torch.float16, device=device))
        lacking, other = None, "nothing, as it inverts in fp16"
    except Exception as error:
        lacking, other = is_unsupported(error) and not is_out_of_memory(error), type(error).__name__
    torch.ones(4, device=device).sum().item()  # the device still works
    told = f"256 TiB: {raised}, {'out of memory' if full else 'not understood'}; inverse in fp16: {other}"
    return full and lacking is not False, told


def _limits(device: torch.device) -> Verdict:
    flops = {name: measure_flop_ceiling(device, name) for name in PRECISIONS}
    copy = measure_copy_ceiling(device)
    told = ", ".join(f"{name} {rate / 1e9:.4g}" for name, rate in flops.items() if rate)
    return bool(flops["fp32"] and copy), f"GFLOP/s: {told}; copy {(copy or 0) / 1e9:.3g} GB/s"


def _conditions(device: torch.device) -> Verdict:
    with ConditionMonitor(device) as monitor:
        time.sleep(1.0)
        seen = monitor.columns()
    load = seen["other_load_ratio"]
    told = f"other processes take {load:.0%} of the CPU"
    told += "" if seen["temperature_end_c"] is None else f", {seen['temperature_end_c']:.0f} C, {seen['clock_mhz']} MHz"
    told += f", throttling {'unknown' if seen['is_throttled'] is None else seen['throttle_reasons'] or 'none'}"
    return (True, told) if load < BUSY_MACHINE_RATIO else (None, f"{told}: measure on a quiet machine")


GENERAL: tuple[tuple[str, Callable[[], Verdict]], ...] = (
    ("percentiles need their samples", _percentiles_need_samples),
    ("intervals keep their promise", _interval_covers),
)
PER_DEVICE: tuple[tuple[str, Callable[[torch.device], Verdict]], ...] = (
    ("conditions can be read", _conditions),
    ("the timer waits for the device", _timer_waits),
    ("the timer is cheap", _timer_is_cheap),
    ("precisions", _precisions),
    ("right answers pass, wrong ones do not", _agrees),
    ("errors are understood", _classifies),
    ("peak memory is seen", _sees_peak),
    ("a leak is found, a clean loop passes", _finds_leak),
    ("transfers", _transfers),
    ("energy", _energy),
    ("ceilings", _limits),
)
