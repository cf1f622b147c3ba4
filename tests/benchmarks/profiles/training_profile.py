"""Why a step of finetuning is as fast as it is: the host's launches, and the kernels by the longest.

    python tests/benchmarks/profiles/training_profile.py [--device NAME] [--model NAME] [--precision fp32 bf16]
        [--batch-size 128 1024] [--memory-format contiguous channels_last]

Eagerly, as captured graphs have no launches left to wait for. A step whose kernels fill its time can only be helped by
other kernels: by another memory format, precision or a compiler; one that takes longer waits for its host.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from sweeps.measure.device.device import available_devices, device_name, open_device
from sweeps.measure.timing.clock import Timer
from tests.benchmarks.near_limits import made
from tests.benchmarks.operations.kernels import kernels, launch_s, longest, told_ms
from workloads.base import MEMORY_FORMATS
from workloads.models.sources import DEFAULT_MODEL
from workloads.precision import PRECISIONS, apply_precision

N_WARMUP, N_STEPS = 5, 20


def row(device: torch.device, model: str, precision: str, batch_size: int, memory_format: str) -> str:
    """A row of the table."""
    apply_precision(precision)
    workload = made(
        "finetune", device, model=model, batch_size=batch_size, precision=precision, memory_format=memory_format,
        options={"epochs": 1e6},
    )  # fmt: skip
    timer = Timer(device)
    try:
        for _ in range(N_WARMUP):
            timer.time(workload.step)
        seconds = float(np.median([timer.time(workload.step) for _ in range(N_STEPS)]))
        launch = launch_s(workload.step, device, 1)
        found = kernels(workload.step, device)
    finally:
        workload.teardown()
    return (
        f"| {precision} | {workload.items_per_step} | {memory_format} | {seconds * 1e3:.2f} |"
        f" {workload.items_per_step / seconds:,.0f} | {launch * 1e3:.2f} | {told_ms(found)} |"
        f" {longest(found)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=available_devices()[-1])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["fp32", "bf16"])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--memory-format", nargs="+", choices=MEMORY_FORMATS, default=list(MEMORY_FORMATS))
    options = parser.parse_args()
    device = open_device(options.device)
    print(f"{device_name(device)}, torch {torch.__version__}: finetuning {options.model}")
    print(
        "| precision | batch size | memory format | ms a step | images/s | host's launch, ms | kernels, ms | the longest |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |")
    cells = itertools.product(options.precision, options.batch_size, options.memory_format)
    for precision, batch_size, memory_format in cells:
        print(row(device, options.model, precision, batch_size, memory_format), flush=True)


if __name__ == "__main__":
    main()
