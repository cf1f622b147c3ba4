"""A cell from set-up to row: it is sent as its workload says, and a training begins anew after its warm-up."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from sweeps.cell import context
from sweeps.cell.cell_run import CellRun
from sweeps.cell.message import Message
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.base import Defaults, NoOptions, SetupFacts
from workloads.scenarios import SCENARIOS, Sending, SteadyWork

FACTS = {
    "timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": 1e9, "ceiling_flop_per_s": {"fp32": 1e9},
}  # fmt: skip


class Counting(SteadyWork):
    """Adds up; what it may have beside the protocol is given to the class by each test."""

    name, item, Options = "counting", "numbers", NoOptions
    defaults = Defaults(batch_size=(1,))
    items_per_step = 1

    def __init__(self, context: object) -> None:
        self.n_steps = 0

    @classmethod
    def check(cls, options: Any, models: tuple[str, ...]) -> None: ...

    def setup(self) -> SetupFacts:
        return SetupFacts(input_shape="1", input_source="none", n_train_items=7)

    def step(self) -> None:
        self.n_steps += 1
        sum(range(1000))


def message_of(kind: type[Counting], monkeypatch: pytest.MonkeyPatch) -> Message:
    monkeypatch.setattr(context, "load_workload", lambda _: kind)
    cell = TrialConfig(workload="counting", device="cpu", batch_size=1)
    quick = MeasureConfig(min_rounds=2, min_s=0.01, max_s=0.05)
    run = CellRun(cell, quick, n_threads=1, device_facts=FACTS)
    while not run.is_finished:
        run.advance()
    message = run.take_message()
    assert message.row["status"] == "complete", message.row.get("error_message")
    assert message.row["input_source"] == "none"
    return message


def row_of(kind: type[Counting], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return message_of(kind, monkeypatch).row


def test_a_workload_without_extras_is_measured_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    row = row_of(Counting, monkeypatch)
    assert row["n_rounds"] >= 1  # under load --max-s may hold no second one
    assert row["epochs_run"] > 0
    assert "n_requests" not in row


def test_requests_arrive_where_the_workload_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Served(Counting):
        sending = Sending(scenario=SCENARIOS["server"], rate_per_s=5_000.0, max_latency_ms=1000.0)

    row = row_of(Served, monkeypatch)
    assert row["n_requests"] == row["n_samples"] == 662
    assert row["deadline_s"] == 1.0


def test_a_query_of_eight_batches_is_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    class Queried(Counting):
        sending = Sending(scenario=SCENARIOS["multi-stream"])

    row = row_of(Queried, monkeypatch)
    assert row["throughput_items_per_s"] * row["step_median_s"] == pytest.approx(8)


def test_what_is_learnt_in_the_warm_up_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    class Learning(Counting):
        seen: list[int] = []  # noqa: RUF012 (of one test)

        def restart(self) -> None:
            self.seen.append(self.n_steps)
            self.n_steps = 0

    row = row_of(Learning, monkeypatch)
    assert Learning.seen == [row["n_warmup_steps"]]


def test_steps_timed_many_at_a_time_have_their_tail_from_a_pass_of_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Quick(Counting):
        sending = Sending(scenario=SCENARIOS["offline"])

        def step(self) -> None:
            self.n_steps += 1

    message = message_of(Quick, monkeypatch)
    row, single = message.row, [seconds for phase, _, seconds, _ in message.samples if phase == "single"]
    assert row["steps_per_sample"] > 1
    assert row["n_latency_samples"] == len(single[0]) >= 662
    assert row["latency_p99_s"] == np.sort(single[0])[math.ceil(0.99 * len(single[0])) - 1]


def test_a_pass_of_single_steps_ends_with_the_time_that_a_cell_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Counting):
        sending = Sending(scenario=SCENARIOS["offline"])

        def step(self) -> None:
            time.sleep(0.004)

    row = row_of(Slow, monkeypatch)  # which may take 50 ms
    assert row["steps_per_sample"] > 1
    assert 0 < row["n_latency_samples"] < 662
    assert row["latency_p99_s"] is None


def test_the_rate_of_a_training_is_its_items_over_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waiting(Counting):
        """Every fourth step waits for something."""

        steps_per_round = 4

        def step(self) -> None:
            self.n_steps += 1
            time.sleep(0.005 if self.n_steps % 4 == 0 else 0.0005)

        def is_done(self) -> bool:
            return self.n_steps >= 40

        def restart(self) -> None:
            self.n_steps = 0

    row = row_of(Waiting, monkeypatch)
    assert row["throughput_items_per_s"] == pytest.approx(row["epochs_run"] * 7 / row["measured_s"])
    assert row["throughput_items_per_s"] < 0.8 / row["step_median_s"]
    assert row["throughput_low_items_per_s"] < row["throughput_items_per_s"] < row["throughput_high_items_per_s"]
