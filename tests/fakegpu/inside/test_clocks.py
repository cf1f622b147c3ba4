"""No clock of ours is read while the device has work left, wherever in what a sweep measures; without waiting each is caught.

A clock that is read too early shows the launch alone, or charges what was launched before it. So each reading asks the
device whether anything is pending, and says where it was made.
"""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sweeps.cell.cell_run import CellRun
from sweeps.cell.scenarios import single_steps
from sweeps.coverage.child import sizes, verdicts, whole_model
from sweeps.measure import ceilings, proofs
from sweeps.measure.device import device as devices
from sweeps.measure.monitors import energy, leak
from sweeps.measure.timing import clock, server_load, serving, timer_proof
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.operations.base import Operation, Sample

ROOT = Path(__file__).parent.parent.parent.parent
MEASURING = ("sweeps/measure", "sweeps/cell", "sweeps/coverage/child", "workloads")
"""Where something is measured; above it clocks are of the driver, which has no device."""
CLOCKS = ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time")
ON_PURPOSE = {
    "sweeps/measure/timing/timer_proof.py:_launch_seconds": "what a clock sees that does not wait",
}
ELSEWHERE = {
    "sweeps/cell/own_process.py:run_until_told": "how long a process of its own has been silent",
    "sweeps/coverage/child/prediction.py:_row": "of a prediction, which runs nothing on the device",
    "sweeps/coverage/child/prediction.py:predict_direction": "the same",
    "sweeps/coverage/child/prediction.py:predict_whole": "the same",
    "sweeps/measure/monitors/conditions.py:ConditionMonitor.note": "of a Mac, after a round, which has waited",
    "sweeps/measure/monitors/energy_sources.py:observed_period_s": "watches a counter, with no work",
    "workloads/models/runtimes/onnx_runtime.py:open_session": "converts on the CPU",
    "workloads/models/runtimes/open_vino.py:open_session": "the same",
    "sweeps/measure/selftest.py:_run": "seconds told to the user, of proofs that wait themselves",
}
"""Places that read no clock of work on the device."""
GPU = torch.device("fakegpu", 0)


def reads_a_clock() -> set[str]:
    """Every function that measures and reads a clock, as ``file:function``."""
    found: set[str] = set()

    def look(node: ast.AST, file: str, inside: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = (*inside, node.name)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in CLOCKS
            and isinstance(node.value, ast.Name)
            and node.value.id == "time"
        ):
            found.add(f"{file}:{'.'.join(inside)}")
        for child in ast.iter_child_nodes(node):
            look(child, file, inside)

    for folder in MEASURING:
        for path in (ROOT / folder).rglob("*.py"):
            look(ast.parse(path.read_text()), str(path.relative_to(ROOT)), ())
    return found


class Watched:
    """Where clocks were read, and where while work was pending."""

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.early: set[str] = set()

    def watching(self, real):
        def read_clock() -> float:
            frame = sys._getframe(1)
            file = frame.f_code.co_filename
            if file.startswith(tuple(f"{ROOT}/{folder}/" for folder in MEASURING)):
                place = f"{file[len(str(ROOT)) + 1 :]}:{frame.f_code.co_qualname.replace('.<locals>', '')}"
                self.read.add(place)
                if torch.fakegpu.is_pending():
                    self.early.add(place)
            return real()

        return read_clock


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    made = Watched()
    for name in CLOCKS:
        monkeypatch.setattr(time, name, made.watching(getattr(time, name)))
    torch.fakegpu.set_operator_time(2e-4)
    yield made
    torch.fakegpu.set_operator_time(0)
    torch.accelerator.synchronize()


class Steady:
    """A counter of energy that runs with the clock."""

    name, domain, period_s = "steady", "gpu", 1e-3

    def read_j(self) -> float:
        return time.monotonic()


MEASURE = MeasureConfig(min_rounds=1, min_s=0.05, max_s=0.1, warmup_max_s=0.1)


def cell(workload: str, **options: object) -> None:
    model = "none" if workload == "image-processing" else "shufflenet_v2_x0_5"
    run = CellRun(
        TrialConfig(workload=workload, device="fakegpu", batch_size=2, model=model, options=options),
        MEASURE,
        n_threads=1,
    )
    while not run.is_finished:
        run.advance()
    row = run.take_message().row
    assert row["status"] == "complete", (row["error_message"], row["error_frames"])


class Doubling(Operation):
    def samples(self, dtype: str) -> Iterator[Sample]:
        yield Sample(function=torch.add, args=(torch.ones(8), torch.ones(8)))


DOUBLING = Doubling(name="doubling", source="test", family="test")


def everything() -> None:
    """Each thing that measures, once."""
    cell("image-processing", pipeline="sobel", implementation="eager")
    cell(
        "finetune",
        tune="full",
        learning_rate=1e-3,
        augment="crop-flip",
        feed="resident",
        image_size=32,
        max_train_s=0.1,
    )
    work, timer = torch.ones(4, device=GPU), clock.Timer(GPU)
    serving.run_server(lambda: timer.time(lambda: work + 1), server_load.poisson_arrivals(200.0, 5, 0))
    single_steps(SimpleNamespace(step=lambda: work + 1), timer, max_s=0.05)
    leak.check_leak(lambda: work + 1, None, GPU, max_s=0.1)
    energy.sustained_energy(
        lambda n: timer.time(lambda: work + 1, n), Steady(), step_s=1e-3, items_per_step=1, longest_s=1.0
    )
    energy.measure_idle_power(Steady(), 0.05)
    sizes.time_sizes(DOUBLING, "fp32", GPU)
    verdicts.run_direction(DOUBLING, "fp32", GPU, "forward", max_samples=1)
    network, batch = torch.nn.Sequential(torch.nn.Linear(8, 8)), (torch.rand(2, 8),)
    whole_model.run_whole(network, batch, GPU, "fp32", whole_model.parts_of(network, batch), train=False)


@pytest.mark.discrete  # it has what can be pending on either, and streams beside
def test_no_clock_is_read_while_the_device_has_work_left(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "open_energy_source", lambda device: Steady())
    everything()
    proofs._energy(GPU)
    proofs._sees_peak(GPU)
    assert watched.early <= set(ON_PURPOSE)
    places = reads_a_clock()
    assert places - watched.read == set(ELSEWHERE), "what reads a clock is run here, or said to be elsewhere"
    assert set(ON_PURPOSE) <= places


WAITERS = ("sweeps.measure.device.device", "sweeps.measure.timing.clock", "sweeps.measure.monitors.leak", "sweeps.measure.proofs",
           "sweeps.cell.cell_run", "sweeps.coverage.child.verdicts", "sweeps.coverage.child.whole_model")  # fmt: skip
"""Modules that wait for the device."""


def test_without_waiting_each_clock_is_caught(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in WAITERS:
        monkeypatch.setattr(sys.modules[module], "synchronize", lambda device: None)
    timer = clock.Timer(GPU)
    work = torch.ones(4, device=GPU)
    timer.time(lambda: work + 1)
    ceilings._best_s(timer, lambda: work + 1)
    clock.run_round(lambda: work + 1, timer, 0.01)
    leak._repeat(lambda: work + 1, GPU, 0.05)
    energy.sustained_energy(
        lambda n: timer.time(lambda: work + 1, n), Steady(), step_s=1e-3, items_per_step=1, longest_s=1.0
    )
    verdicts.run_direction(DOUBLING, "fp32", GPU, "forward", max_samples=1)
    sizes.time_call(next(DOUBLING.samples("fp32")), GPU, timer)
    caught = {place.partition(":")[2] for place in watched.early}
    assert caught >= {"Timer.time", "_best_s", "run_round", "_repeat", "sustained_energy", "run_direction", "time_call"}


class Slept:
    """Work whose length no other process changes: operators of 2 ms each."""

    def __init__(self) -> None:
        self._ones = torch.ones(4, device=GPU)

    def launch(self, scale: int) -> None:
        for _ in range(5 * scale):
            self._ones + 1

    def fetch(self) -> None:
        self._ones[0].item()


def test_the_timing_proof_passes_and_fails_when_waiting_is_taken_away() -> None:
    torch.fakegpu.set_operator_time(2e-3)
    try:
        passed = timer_proof.verify_timing(GPU, work=Slept())
        failed = timer_proof.verify_timing(GPU, clock.Timer(GPU, wait=lambda: None), work=Slept(), tries=1)
    finally:
        torch.fakegpu.set_operator_time(0)
    assert passed.verified, passed.detail
    assert passed.is_asynchronous
    assert not failed.verified
    assert "it does not wait" in failed.detail


def test_a_timer_tells_the_devices_time(slow_operators: float) -> None:
    work, timer = torch.ones(4, device=GPU), clock.Timer(GPU)
    assert timer.time(lambda: work + 1, 3) == pytest.approx(3 * slow_operators, rel=0.2)
    assert timer.time_on_device(lambda: work + 1, 3) == pytest.approx(slow_operators, rel=0.2)
    assert clock.Timer(GPU, wait=lambda: None).time(lambda: work + 1, 3) < slow_operators
    devices.synchronize(GPU)
