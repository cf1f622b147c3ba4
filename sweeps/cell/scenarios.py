"""How the steps of a scenario are timed: a plan of what a sample is, and the open loop of requests that arrive."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.contract.cells import MIN_SAMPLES
from sweeps.measure.timing.clock import MIN_WARMUP_STEPS, Timer, WarmUp, choose_steps_per_sample, run_round, warm_up
from sweeps.measure.timing.server_load import ServerResult, find_max_rate, poisson_arrivals, run_server
from sweeps.plan.measuring import MeasureConfig
from workloads.base import Extras, UnsupportedError, Workload
from workloads.scenarios import Scenario, Sending

MAX_OFFLINE_STEPS = 256
MIN_HOPELESS_S = 1.0
"""A step up to this long is never taken for too long to be measured again: lazy initialisation may take so long."""
N_SINGLE_STEPS, MAX_SINGLE_S = 1000, 5.0
MAX_RUN_S = 120.0
"""Longest run at one rate; slower devices cannot collect the requests that a p99 takes in a sensible time."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one timed sample is.

    Attributes:
        step: The work of one sample's step: a query.
        n_batches: Batches in such a step.
        steps_per_sample: Steps between two synchronisations.
    """

    step: Callable[[], object]
    n_batches: int = 1
    steps_per_sample: int = 1


def warmed(workload: Workload, timer: Timer, measure: MeasureConfig, compile_mode: str) -> WarmUp:
    """Warm up, though no longer than it takes to see that one step alone takes longer than may be measured.

    On a CPU the very first step tells, for what it initialises takes no second; elsewhere, and where it may have been
    compiled, the second one.
    """
    if workload.steps_per_round is not None:  # its steps are counted, not timed until they are known
        return warm_up(workload.step, timer, max_s=measure.warmup_max_s)
    is_eager = compile_mode == "none" and not Extras.of(workload).is_compiled
    return warm_up(
        workload.step, timer, max_s=measure.warmup_max_s, hopeless_s=max(MIN_HOPELESS_S, measure.max_s),
        min_steps=1 if is_eager and timer.device.type == "cpu" else MIN_WARMUP_STEPS,
    )  # fmt: skip


def plan_for(scenario: Scenario, step: Callable[[], object], step_s: float, timer: Timer) -> Plan:
    """The plan of a scenario.

    Args:
        scenario: How steps are sent.
        step: The workload's step.
        step_s: About how long it takes, from the warm-up.
        timer: The device's timer.
    """

    def query() -> None:
        for _ in range(scenario.n_batches):
            step()

    sent = step if scenario.n_batches == 1 else query
    if scenario.is_latency:
        return Plan(step=sent, n_batches=scenario.n_batches)  # whatever the timer takes
    fewest = choose_steps_per_sample(step_s, timer.overhead_s)
    fewest = max(fewest, min(MAX_OFFLINE_STEPS, math.ceil(scenario.sample_s / step_s)))
    return Plan(step=sent, n_batches=scenario.n_batches, steps_per_sample=fewest)


def timed_round(workload: Workload, plan: Plan, timer: Timer, round_s: float) -> tuple[list[float], int]:
    """One round of a plan: its samples in seconds per step, and how many steps they were."""
    seconds = run_round(
        plan.step, timer, round_s, n_steps=workload.steps_per_round, steps_per_sample=plan.steps_per_sample,
        is_over=workload.is_done,
    )  # fmt: skip
    n_steps = len(seconds) * plan.steps_per_sample
    # The last sample of a round of so many steps may have fewer.
    return seconds, n_steps if workload.steps_per_round is None else min(n_steps, workload.steps_per_round)


def single_steps(plan: Plan, timer: Timer, max_s: float) -> np.ndarray:
    """Seconds of single steps, of a plan whose samples are means of several and so have no tail to tell.

    As many as a p99 and the upper end of its interval take, or as ``max_s`` seconds and ``MAX_SINGLE_S`` hold; each
    waits for the device by itself, so they are rather longer than the steps of the plan.
    """
    end = time.perf_counter() + min(max_s, MAX_SINGLE_S)
    is_over = lambda: time.perf_counter() >= end  # noqa: E731
    return np.asarray(run_round(plan.step, timer, 0.0, n_steps=N_SINGLE_STEPS, is_over=is_over))


def _run_at(
    rate: float, timer: Timer, step: Callable[[], object], *, seed: int, min_s: float, limit_s: float | None
) -> ServerResult:
    n = max(MIN_SAMPLES["p99"], math.ceil(rate * min_s))
    if n / rate > MAX_RUN_S:
        raise UnsupportedError(
            f"server: {n} requests, which a p99 takes, last {n / rate:.0f} s at {rate:.3g} per second; "
            f"at most {MAX_RUN_S:g} s"
        )
    return run_server(lambda: timer.time(step), poisson_arrivals(rate, n, seed), deadline_s=limit_s)


def serve(
    step: Callable[[], object],
    timer: Timer,
    *,
    sending: Sending,
    step_s: float,
    items_per_step: int,
    min_s: float,
    seed: int,
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Requests that arrive at a rate, or at the highest that holds the latency limit.

    Returns:
        Columns of the trials table, latencies in seconds, and their scheduled arrivals in seconds.

    Raises:
        UnsupportedError: If the device is too slow for a p99 in sensible time.
    """
    limit_s = None if sending.max_latency_ms is None else sending.max_latency_ms * 1e-3
    columns: dict[str, Any] = {}
    if sending.rate_per_s is not None:
        result = _run_at(sending.rate_per_s, timer, step, seed=seed, min_s=min_s, limit_s=limit_s)
    else:
        if limit_s is None:
            raise ValueError(f"a rate or a latency limit is needed, got {sending=}")
        search = find_max_rate(
            lambda rate: _run_at(rate, timer, step, seed=seed, min_s=min_s, limit_s=limit_s), step_s, limit_s
        )
        result = search.result
        columns["max_rate_per_s"] = search.rate_per_s
    columns |= result.columns(limit_s, items_per_step)
    columns |= {
        "measured_s": result.duration_s, "n_rounds": 1, "n_samples": len(result.latency_s), "steps_per_sample": 1,
    }  # fmt: skip
    return columns, result.latency_s, result.scheduled_s
