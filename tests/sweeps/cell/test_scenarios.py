"""Each scenario of the table is sent and timed as its row says."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch

from analysis.contract.cells import SERVER
from sweeps.cell.scenarios import MAX_OFFLINE_STEPS, plan_for, serve, warmed
from sweeps.measure.timing.clock import Timer
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.parsing import parse
from sweeps.plan.sweep_options import sweep_command
from sweeps.store.schema import ROUNDS, TRIALS
from tests.sweeps.measure.timing.virtual import VirtualClock
from workloads.base import BadInputError, UnsupportedError
from workloads.inference import Inference, InferenceOptions
from workloads.scenarios import SCENARIOS, Scenario, Sending, is_served

CPU = torch.device("cpu")


def plan(scenario: Scenario, step_s: float) -> tuple[int, int]:
    """Steps of a sample, and how often the step really ran for one step of the plan."""
    n_run = 0

    def step() -> None:
        nonlocal n_run
        n_run += 1

    made = plan_for(scenario, step, step_s, Timer(CPU))
    made.step()
    return made.steps_per_sample, n_run


@pytest.mark.parametrize(("max_s", "least", "most"), [(1.0, 11, 101), (0.01, 3, 6)])
def test_a_quick_look_is_warmed_up_quickly(max_s: float, least: int, most: int) -> None:
    class Sleeping:
        steps_per_round = None

        def step(self) -> None:
            time.sleep(0.02)

    found = warmed(Sleeping(), Timer(CPU), MeasureConfig(min_s=max_s, max_s=max_s), "none")  # type: ignore[arg-type]
    assert least <= found.n_steps <= most


def test_a_latency_is_that_of_one_query_and_a_throughput_that_of_many() -> None:
    assert plan(SCENARIOS["single-stream"], 1e-6) == (1, 1)
    assert plan(SCENARIOS["server"], 1e-6) == (1, 1)
    assert plan(SCENARIOS["multi-stream"], 1e-6) == (1, 8)
    assert plan(SCENARIOS["offline"], 0.01) == (5, 1)
    assert plan(SCENARIOS["offline"], 1e-4)[0] == MAX_OFFLINE_STEPS
    assert plan(Scenario(), 0.1) == (1, 1), "a workload without scenarios"
    assert plan(Scenario(), 1e-6)[0] > 1, "the timer takes a hundredth of a sample at most"


def test_what_writes_and_what_reads_call_the_served_scenario_alike() -> None:
    assert [name for name in SCENARIOS if is_served(name)] == [SERVER]
    assert not is_served(None)


def test_a_served_scenario_needs_a_rate_or_a_limit() -> None:
    with pytest.raises(BadInputError, match="--scenario server: needs --rate"):
        InferenceOptions(scenario=("single-stream", "server"))
    timer = Timer(CPU)
    with pytest.raises(ValueError, match="a rate or a latency limit is needed"):
        serve(lambda: None, timer, sending=Sending(), step_s=0.1, items_per_step=1, min_s=0.1, seed=0)


def test_requests_are_served_at_the_rate_asked_for_and_counted_from_their_arrival() -> None:
    sending = Sending(scenario=SCENARIOS["server"], rate_per_s=20_000.0, max_latency_ms=1000.0)
    served = serve(lambda: None, Timer(CPU), sending=sending, step_s=1e-5, items_per_step=4, min_s=0.01, seed=0)
    columns, latency, scheduled = served.columns, served.latency_s, served.scheduled_s
    assert columns["n_samples"] == len(latency) == len(scheduled) == columns["n_requests"] == 662
    assert columns["deadline_s"] == 1.0
    assert columns["n_missed"] == 0
    assert (np.diff(scheduled) > 0).all()
    assert "max_rate_per_s" not in columns
    assert columns["latency_p99_high_s"] > 0
    (only,) = served.rates
    assert (only["rate_per_s"], only["n_requests"], only["items"]) == (20_000.0, 662, 4 * 662)
    assert only["arrived_rate_per_s"] == pytest.approx(20_000.0)


def test_every_rate_that_a_search_tries_is_a_round_of_the_table() -> None:
    clock = VirtualClock()

    class Virtual(Timer):
        def time(self, step, n_steps: int = 1) -> float:
            clock.work(0.002)
            return 0.002

    sending = Sending(scenario=SCENARIOS["server"], max_latency_ms=20.0)
    served = serve(
        lambda: None, Virtual(CPU), sending=sending, step_s=0.002, items_per_step=4, min_s=0.01, seed=0, clock=clock
    )
    columns, rates = served.columns, served.rates
    assert set(rates[0]) <= set(ROUNDS.names)
    assert set(columns) <= set(TRIALS.names)
    assert [entry["round"] for entry in rates] == list(range(len(rates)))
    assert len(rates) >= 2
    best = max(entry["rate_per_s"] for entry in rates if entry["held"])
    assert columns["max_rate_per_s"] == best
    assert columns["latency_p99_s"] <= 0.02
    assert columns["latency_p99_high_s"] <= 0.02
    assert columns["rate_search_s"] == pytest.approx(rates[-1]["elapsed_s"])
    assert all(entry["arrived_rate_per_s"] == pytest.approx(entry["rate_per_s"]) for entry in rates)


def test_a_rate_too_low_for_a_p99_in_sensible_time_is_unsupported() -> None:
    sending = Sending(scenario=SCENARIOS["server"], rate_per_s=1.0)
    with pytest.raises(UnsupportedError, match="662 requests that a p99 needs take 662 s"):
        serve(lambda: None, Timer(CPU), sending=sending, step_s=0.1, items_per_step=1, min_s=0.1, seed=0)


def test_help_names_every_scenario_with_what_it_does() -> None:
    with redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
        parse(sweep_command(Inference), "inference", ["--help"])
    told = " ".join(out.getvalue().replace("│", " ").split())
    assert f"{{{','.join(SCENARIOS)}}}" in told
    for name, scenario in SCENARIOS.items():
        assert f"{name} {scenario.told}" in told
