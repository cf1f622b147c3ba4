"""Is the figure right? Our medians against torch.utils.benchmark's and against a plain loop, in turns in one process.

    python tests/benchmarks/fidelity.py                   on the CPU, some 4 minutes
    python tests/benchmarks/fidelity.py --device cuda     on an accelerator, some 3 minutes

(a) The same step of a real workload, timed by our ``Timer`` and by ``torch.utils.benchmark.Timer``, sample by sample in
    turns, each sample of as many steps as a sweep would take: the ratio of the medians, to be within 2 %.
(b) A cell as a sweep measures it, with its memory monitor, counters and bookkeeping, in turns with a loop written by
    hand that does nothing but synchronise, read the clock and run the step: what the harness adds, to be under 1 %.
    A third party is that loop once more; its ratio to itself is what this machine lets one tell apart. Between samples
    is the rest of a round of 0.1 s (half of a sweep's), evaluations of a training included; it is in no figure.

A ratio is taken in each turn, so that what else the machine does hits both sides alike; what is printed is the median
over the turns with its 95 % interval by order statistics. A busy machine widens that interval and does not pass for a
difference. Each line ends with a verdict: ``within`` or ``outside`` if the whole interval is, else ``undecided``, which
more ``--seconds`` or a quieter machine settle.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

import torch
from torch.utils import benchmark

from sweeps.cell import cell_run as cell_module
from sweeps.cell.cell_run import CellRun
from sweeps.cell.device_facts import DeviceFacts
from sweeps.cell.scenarios import plan_for
from sweeps.measure import (
    RoundLog,
    RoundPolicy,
    Timer,
    median_interval,
    open_device,
    run_round,
    unsupported_reason,
    warm_up,
)
from sweeps.measure.device.device import set_threads
from sweeps.measure.device.host import usable_cpus
from sweeps.measure.monitors.memory import MemoryMonitor
from sweeps.measure.timing.statistics import Interval
from sweeps.plan.cell_options import options_instance
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.base import CellContext, Extras, Workload
from workloads.precision import apply_precision
from workloads.registry import load_workload

LITE0, TARGET_TORCH, TARGET_LOOP = "efficientnet_lite0", 0.02, 0.01
TURN_S = 0.1
ENDLESS = 10**9


def cells_for(device: str) -> list[TrialConfig]:
    """Six cells of the three workloads, small and large, in two precisions where the device has both."""
    large = 4 if device == "cpu" else 64
    narrow = "bf16" if unsupported_reason(device, "bf16") is None else "fp32"
    stream = {"scenario": "single-stream"}
    inference = [
        (1, "fp32", stream),
        (large, "fp32", stream),
        (1, narrow, stream),
        (large, narrow, {"scenario": "offline"}),
    ]
    cells = [
        TrialConfig(workload="inference", device=device, batch_size=b, precision=p, model=LITE0, options=o)
        for b, p, o in inference
    ]
    training = {"tune": "full", "epochs": 1e6, "max_train_s": 1e9, "image_size": 32}
    return [
        *cells,
        TrialConfig(workload="image-processing", device=device, batch_size=large, options={"pipeline": "resize"}),
        TrialConfig(workload="finetune", device=device, batch_size=2 * large, model=LITE0, options=training),
    ]


def prepared(cell: TrialConfig, device: torch.device) -> Workload:
    kind = load_workload(cell.workload)
    apply_precision(cell.precision)
    workload = kind(CellContext(
        device=device, batch_size=cell.batch_size, precision=cell.precision, model=cell.model, seed=cell.seed,
        options=options_instance(kind, dict(cell.options)),
    ))  # fmt: skip
    workload.setup()
    return workload


def verdict(interval: Interval, least: float, most: float, control: Interval | None = None) -> str:
    """``outside`` takes an interval that is, and a control that on this machine is not."""
    if interval.low is None or interval.high is None:
        return "undecided"
    if least <= interval.low and interval.high <= most:
        return "within"
    is_steady = control is None or verdict(control, 2 - most, most) == "within"
    return "outside" if is_steady and (interval.high < least or interval.low > most) else "undecided"


def ratio_of(ours: list[list[float]], others: list[list[float]]) -> Interval:
    """The median over the turns of the ratio of the medians in each turn, with its interval by order statistics."""
    return median_interval([float(np.median(mine) / np.median(peer)) for mine, peer in zip(ours, others, strict=True)])


def shown(interval: Interval) -> str:
    ends = "" if interval.low is None else f" [{interval.low:.4f}, {interval.high:.4f}]"
    return f"{interval.median:.4f}{ends}"


def line(
    cell: TrialConfig, ours: list[list[float]], others: list[list[float]], other: str, least: float, most: float,
    control: Interval | None = None,
) -> str:  # fmt: skip
    interval = ratio_of(ours, others)
    mine_ms, other_ms = (float(np.median(np.concatenate(turns))) * 1e3 for turns in (ours, others))
    return (
        f"  {f'{cell.workload} {cell.label}':<63} ours {mine_ms:8.3f} ms  {other} {other_ms:8.3f} ms  "
        f"ratio {shown(interval)}  {verdict(interval, least, most, control)}; {len(ours)} turns"
    )


def in_turns(seconds: float, *parties: Callable[[], None], least: int = 20) -> None:
    """All of them, one after the other in an order drawn anew each time, for so long and at least so often."""
    generator, end, n = np.random.default_rng(0), time.perf_counter() + seconds, 0
    while time.perf_counter() < end or n < least:
        for i in generator.permutation(len(parties)):
            parties[i]()
        n += 1


def against_torch(cell: TrialConfig, seconds: float) -> str:
    """(a): our timer's samples and torch's, in turns of one sample each."""
    device = open_device(cell.device)
    workload, timer = prepared(cell, device), Timer(device)
    warm = warm_up(workload.step, timer, max_s=3.0)
    plan = plan_for(Extras.of(workload).sending.scenario, workload.step, float(np.median(warm.seconds[-5:])), timer)
    n = plan.steps_per_sample
    peer = benchmark.Timer("step()", globals={"step": plan.step}, num_threads=torch.get_num_threads())
    log, ours, theirs = RoundLog(n), [], []

    def mine() -> None:
        timer.time(plan.step, max(n // 100, 2))  # torch's timeit does so before each of its samples
        ours.append(run_round(plan.step, timer, 0.0, n_steps=n, steps_per_sample=n))
        log.add(ours[-1])

    in_turns(seconds, mine, lambda: theirs.append(peer.timeit(n).times))
    summary = log.summary(workload.items_per_step, RoundPolicy())
    assert summary.step_median_s == np.median(np.concatenate(ours)), "the row's median is that of the samples"
    workload.teardown()
    return line(cell, ours, theirs, "torch", 1 - TARGET_TORCH, 1 + TARGET_TORCH)


class PausableMonitor(MemoryMonitor):
    """The sweep's memory monitor, which rests while the plain loop runs: its cost is the harness's alone."""

    is_resting = False

    def _sample(self) -> None:
        if not PausableMonitor.is_resting:
            super()._sample()


@contextmanager
def without_the_harness() -> Iterator[None]:
    PausableMonitor.is_resting = True
    try:
        yield
    finally:
        PausableMonitor.is_resting = False


def plain_loop(
    step: Callable[[], object], n_steps: int, synchronize: Callable[[], object], seconds: float, least: int
) -> list[float]:
    """What somebody writes who wants to know how long a step takes, and knows that devices are asynchronous."""
    samples, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < least:
        synchronize()
        began = time.perf_counter()
        for _ in range(n_steps):
            step()
        synchronize()
        samples.append((time.perf_counter() - began) / n_steps)
    return samples


def against_a_loop(cell: TrialConfig, seconds: float, facts: dict[str, Any]) -> str:
    """(b): rounds of a cell as a sweep measures them, in turns with the loop above on the very same step."""
    measure = MeasureConfig(min_rounds=ENDLESS, min_s=1e9, max_s=1e9, round_s=TURN_S, warmup_max_s=3.0)
    run = CellRun(cell, measure, n_threads=torch.get_num_threads(), device_facts=facts)
    run.advance()
    run.advance()
    workload, device = run._workload, open_device(cell.device)
    assert workload is not None, run.take_message().row
    synchronize = (lambda: None) if device.type == "cpu" else torch.accelerator.synchronize
    ours: list[list[float]] = []
    plain: list[list[float]] = []
    again: list[list[float]] = []
    plan, extra, n_least = run._plan, 0.0, 1
    if workload.steps_per_round is not None:  # a training's rounds are a third of an epoch, too long for turns
        workload.steps_per_round = n_least = 3

    def harness() -> None:
        nonlocal extra
        began, before = time.perf_counter(), run._log.measured_s
        run.advance()
        extra += time.perf_counter() - began - (run._log.measured_s - before)
        ours.append(list(run._new_samples[-1][2]))

    def loop(into: list[list[float]]) -> None:
        with without_the_harness():
            into.append(plain_loop(plan.step, plan.steps_per_sample, synchronize, TURN_S, n_least))

    run._new_samples.clear()
    in_turns(seconds, harness, lambda: loop(plain), lambda: loop(again))
    row = run.take_message().row
    assert row["step_median_s"] == np.median(np.concatenate(ours)), "the row's median is that of the samples"
    control = ratio_of(again, plain)
    told = line(cell, ours, plain, "loop ", 0.0, 1 + TARGET_LOOP, control)
    between = extra / row["measured_s"]
    run.close()
    return f"{told}; the loop over itself {shown(control)}; between samples {between:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each cell of each part")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="1 is steadier where others compute as well")
    parser.add_argument("--only", type=int, nargs="+", default=range(6), help="numbers of cells, from 0")
    parser.add_argument("--part", choices=("a", "b", "both"), default="both")
    options = parser.parse_args()
    set_threads(options.threads)
    device = open_device(options.device)
    cells = [cell for i, cell in enumerate(cells_for(options.device)) if i in options.only]
    if options.part in ("a", "both"):
        print(
            f"(a) our median over torch.utils.benchmark.Timer's, target 1 +- {TARGET_TORCH}, torch {torch.__version__}"
        )
        for cell in cells:
            print(against_torch(cell, options.seconds), flush=True)
    if options.part in ("b", "both"):
        cell_module.MemoryMonitor = PausableMonitor  # type: ignore[misc]
        print(f"(b) a cell's row over a plain loop, target under {1 + TARGET_LOOP}")
        facts = asdict(DeviceFacts.of(device, "fp32", {}))
        for cell in cells:
            print(against_a_loop(cell, options.seconds, facts), flush=True)


if __name__ == "__main__":
    main()
