"""Where a step of finetuning spends its time on the CPU, by kind of convolution and by precision.

    python tests/benchmarks/operations/convolutions.py [--batch-size 32]        half a minute

The default network's steps are profiled by torch in fp32 and bf16, in turns; the forward and the backward of depthwise
convolutions (one filter a channel), of pointwise ones (1 x 1) and of the others are told apart by the shapes of their
weights. It shows why bf16 can train slower than fp32 on a processor that multiplies matrices faster in bf16.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

import torch
from torch.profiler import ProfilerActivity, profile

from sweeps.measure.device.host import usable_cpus
from workloads.base import CellContext
from workloads.finetune import Finetune

N_TURNS, N_STEPS, N_WARMUP = 3, 5, 5
WEIGHTS = {"aten::mkldnn_convolution": 1, "aten::convolution_backward": 2}
"""Which argument of an operation is the filters."""


def kind_of(weight_shape: list[int]) -> str:
    """Of filters of the shape: outputs, inputs of a group, height, width."""
    return "depthwise" if weight_shape[1] == 1 else "pointwise" if weight_shape[2:] == [1, 1] else "other"


def workload(precision: str, batch_size: int) -> Finetune:
    cell = CellContext(
        device=torch.device("cpu"), batch_size=batch_size, precision=precision, model="efficientnet_lite0",
        memory_format="contiguous", compile="none", seed=0, options=Finetune.Options(),
    )  # fmt: skip
    made = Finetune(cell)
    made.setup()
    for _ in range(N_WARMUP):
        made.step()
    return made


def milliseconds(training: Finetune) -> Counter[tuple[str, str]]:
    """Milliseconds a step, by direction and kind; with the profiler's own time."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        for _ in range(N_STEPS):
            training.step()
    spent: Counter[tuple[str, str]] = Counter()
    for event in seen.key_averages(group_by_input_shape=True):
        if event.key in WEIGHTS:
            direction = "backward" if event.key.endswith("backward") else "forward"
            kind = kind_of(event.input_shapes[WEIGHTS[event.key]])
            spent[direction, kind] += event.self_cpu_time_total * 1e-3 / N_STEPS
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    batch_size = parser.parse_args().batch_size
    torch.set_num_threads(usable_cpus())
    trainings = {name: workload(name, batch_size) for name in ("fp32", "bf16")}
    steps: dict[str, list[float]] = {name: [] for name in trainings}
    spent: dict[str, list[Counter[tuple[str, str]]]] = {name: [] for name in trainings}
    for _ in range(N_TURNS):
        for name, training in trainings.items():
            began = time.perf_counter()
            for _ in range(N_STEPS):
                training.step()
            steps[name].append((time.perf_counter() - began) * 1e3 / N_STEPS)
            spent[name].append(milliseconds(training))
    print(f"EfficientNet-Lite0, batch {batch_size}, {torch.__version__}, medians of {N_TURNS} turns of {N_STEPS} steps")
    print("| ms a step | fp32 | bf16 |\n| :--- | ---: | ---: |")
    print(f"| all, without the profiler | {median(steps['fp32']):.1f} | {median(steps['bf16']):.1f} |")
    for direction, kind in sorted(spent["fp32"][0]):
        shown = (f"{median(s[direction, kind] for s in spent[name]):.1f}" for name in trainings)
        print(f"| {direction}, {kind} convolutions | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
