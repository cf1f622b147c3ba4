"""How the steps of a scenario are timed: a plan of what a sample is, and the open loop of requests that arrive."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.contract.cells import MIN_SAMPLES
from sweeps.measure.timing.clock import MIN_WARMUP_STEPS, Timer, WarmUp, choose_steps_per_sample, run_round, warm_up
from sweeps.measure.timing.rate_search import MAX_LOAD, MAX_RUN_S, RateTried, find_max_rate, judged
from sweeps.measure.timing.server_load import Clock, ServerResult, poisson_arrivals
from sweeps.measure.timing.serving import run_servers
from sweeps.measure.timing.time_limit import time_limit
from sweeps.plan.measuring import MeasureConfig
from workloads.base import AUTOTUNE, Extras, UnsupportedError, Workload
from workloads.scenarios import Scenario, Sending

MAX_OFFLINE_STEPS = 256
MAX_WARMUP_RATIO = 10
"""Warming up takes at most so many times the longest time of measuring: a quick look is not to wait for more."""
MIN_HOPELESS_S = 1.0
"""A step up to this long is never taken for too long to be measured again: lazy initialisation may take so long."""
N_SINGLE_STEPS, MAX_SINGLE_S = 1000, 5.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one timed sample is.

    Attributes:
        step: The work of one sample's step: a query.
        steps_per_sample: Steps between two synchronisations.
    """

    step: Callable[[], object]
    steps_per_sample: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """What became of requests.

    Attributes:
        columns: Of the trials table.
        latency_s: Of each request of the rate that is told, in order of arrival.
        scheduled_s: Their scheduled arrivals.
        rates: Each rate tried as a row of the table of rounds.
    """

    columns: dict[str, Any]
    latency_s: np.ndarray
    scheduled_s: np.ndarray
    rates: list[dict[str, Any]]


def warmed(workload: Workload, timer: Timer, measure: MeasureConfig, compile_mode: str) -> WarmUp:
    """Warm up, though no longer than it takes to see that one step alone takes longer than may be measured.

    Nor, after the first step, for more than ``MAX_WARMUP_RATIO`` times as long as may be measured.

    On a CPU the very first step tells, for what it initialises takes no second; elsewhere, and where it may have been
    compiled, the second one.
    """
    most_s = measure.autotune_timeout_s if compile_mode == AUTOTUNE else None
    with time_limit(most_s, f"autotuning took over --autotune-timeout {most_s or 0:g} s"):
        if workload.steps_per_round is not None:  # its steps are counted, not timed until they are known
            return warm_up(workload.step, timer, max_s=measure.warmup_max_s)
        is_eager = compile_mode == "none" and not Extras.of(workload).is_compiled
        return warm_up(
            workload.step, timer, max_s=min(measure.warmup_max_s, MAX_WARMUP_RATIO * measure.max_s),
            hopeless_s=max(MIN_HOPELESS_S, measure.max_s),
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
        return Plan(step=sent)  # whatever the timer takes
    fewest = choose_steps_per_sample(step_s, timer.overhead_s)
    fewest = max(fewest, min(MAX_OFFLINE_STEPS, math.ceil(scenario.sample_s / step_s)))
    return Plan(step=sent, steps_per_sample=fewest)


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


def _at_rate(
    serve: Callable[[np.ndarray], ServerResult], rate: float, seed: int, min_s: float, limit_s: float | None
) -> RateTried:
    n = max(MIN_SAMPLES["p99"], math.ceil(rate * min_s))
    if n / rate > MAX_RUN_S:
        raise UnsupportedError(_too_slow(n / rate, rate))
    return judged(rate, serve(poisson_arrivals(rate, n, seed)), limit_s, seed)


def _too_slow(seconds: float, rate: float) -> str:
    return (
        f"server: the {MIN_SAMPLES['p99']} requests that a p99 needs take {seconds:.0f} s at {rate:.3g} per second; "
        f"at most {MAX_RUN_S:g} s"
    )


def serve(
    step: Callable[[], object],
    timer: Timer,
    *,
    sending: Sending,
    step_s: float,
    items_per_step: int,
    min_s: float,
    seed: int,
    clock: Clock | None = None,
) -> Served:
    """Requests that arrive at a rate, or at the highest that holds the latency limit.

    ``clock`` is the wall clock by default.

    Raises:
        UnsupportedError: If the device is too slow for a p99 in sensible time.
    """
    limit_s = None if sending.max_latency_ms is None else sending.max_latency_ms * 1e-3
    if sending.rate_per_s is None and limit_s is None:
        raise ValueError(f"a rate or a latency limit is needed, got {sending=}")
    servers = [lambda: timer.time(step), *sending.others]
    run = functools.partial(run_servers, servers, clock=clock, deadline_s=limit_s)
    columns: dict[str, Any] = {}
    if sending.rate_per_s is not None:
        tried = [shown := _at_rate(run, sending.rate_per_s, seed, min_s, limit_s)]
    else:
        assert limit_s is not None
        search = find_max_rate(run, step_s, limit_s, seed=seed, min_s=min_s, n_servers=len(servers))
        if search is None:
            raise UnsupportedError(_too_slow(MIN_SAMPLES["p99"] * step_s / MAX_LOAD, MAX_LOAD / step_s))
        tried, shown = search.tried, search.shown
        columns["max_rate_per_s"] = None if search.best is None else search.best.rate_per_s
        columns["rate_search_s"] = sum(one.result.duration_s for one in tried)
    result = shown.result
    columns |= result.columns(limit_s, items_per_step)
    columns |= {
        "latency_p99_high_s": shown.p99_high_s, "measured_s": result.duration_s, "n_rounds": 1,
        "n_samples": len(result.latency_s), "steps_per_sample": 1,
    }  # fmt: skip
    return Served(
        columns=columns, latency_s=result.latency_s, scheduled_s=result.scheduled_s,
        rates=_as_rounds(tried, items_per_step),
    )  # fmt: skip


def _as_rounds(tried: Sequence[RateTried], items_per_step: int) -> list[dict[str, Any]]:
    """The rates tried as rows of the table of rounds."""
    ends = itertools.accumulate(one.result.duration_s for one in tried)
    return [
        {
            "round": index, "elapsed_s": end, "seconds": one.result.duration_s,
            "items": one.result.n_requests * items_per_step,
            "throughput_items_per_s": one.result.n_requests * items_per_step / one.result.duration_s,
            "rate_per_s": one.rate_per_s, "n_requests": one.result.n_requests,
            "arrived_rate_per_s": one.result.n_requests / float(one.result.scheduled_s[-1]),
            "latency_p99_s": one.p99_s, "latency_p99_high_s": one.p99_high_s, "held": one.held,
        }
        for index, (one, end) in enumerate(zip(tried, ends, strict=True))
    ]  # fmt: skip
