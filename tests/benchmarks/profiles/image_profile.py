"""Why an image pipeline is as fast as it is: what the host needs to launch it, and what each kernel takes.

    python tests/benchmarks/profiles/image_profile.py [--device NAME] [--pipeline resize geometric] [--image-batch 64]
        [--precision fp32 bf16]
    ncu --profile-from-start off --metrics NAMES python tests/benchmarks/profiles/image_profile.py --counters

For each implementation: the time of a step when many are queued; the host's time to launch one, from an empty queue; and
the kernels by torch.profiler, with the bytes that the pipeline must move at least over what the device copies in that
time. A step that takes what its kernels take can only be helped by better kernels; one that takes longer waits for the
host, and a captured graph (``reduce-overhead``) is what helps. With ``--counters`` nothing is timed: one step of each fused
pipeline is what Nsight Compute reads the hardware's counters of.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from sweeps.measure.ceilings import measure_copy_ceiling
from sweeps.measure.device.device import available_devices, device_name, open_device
from sweeps.measure.timing.clock import Timer
from tests.benchmarks.near_limits import in_turns, made, off_by
from tests.benchmarks.operations.kernels import kernels, launch_s, longest, told_ms
from workloads.precision import PRECISIONS, apply_precision


def tell(pipeline: str, device: torch.device, batch_size: int, precision: str, ceiling: float | None) -> None:
    timer = Timer(device)
    variants = {"eager": ("eager", "none"), "fused": ("fused", "none")}
    if device.type != "cpu":
        variants |= {f"{name}, reduce-overhead": (name, "reduce-overhead") for name in ("eager", "fused")}
    apply_precision(precision)
    workloads = {
        name: made(
            "image-processing", device, batch_size=batch_size, precision=precision, compile=mode,
            options={"pipeline": (pipeline,), "implementation": (implementation,)},
        )
        for name, (implementation, mode) in variants.items()
    }  # fmt: skip
    seconds = in_turns({n: w.step for n, w in workloads.items()}, timer, n_rounds=7, round_s=0.1, is_queued=True)
    print(f"\n{pipeline}, {precision}, {batch_size} of 427 x 640")
    print(
        "| what | ms a step | times eager | host's launch, ms | kernels, ms | least bytes over the copy ceiling, ms | |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, workload in workloads.items():
        found = kernels(workload.step, device)
        moved = workload.least_bytes()  # type: ignore[attr-defined]
        least = f"{1e3 * moved / ceiling:.3f}" if moved and ceiling else ""
        print(f"| {name} | {seconds[name] * 1e3:.3f} | {seconds['eager'] / seconds[name]:.2f} |"
              f" {launch_s(workload.step, device) * 1e3:.3f} | {told_ms(found)} | {least} |"
              f" off by {off_by(workload):.5f}; {longest(found)} |", flush=True)  # fmt: skip
        workload.teardown()


def show_to_ncu(pipeline: str, device: torch.device, batch_size: int, precision: str) -> None:
    """Run one step, compiled and warm, where ``ncu --profile-from-start off`` looks."""
    apply_precision(precision)
    workload = made(
        "image-processing", device, batch_size=batch_size, precision=precision, compile="none",
        options={"pipeline": (pipeline,), "implementation": ("fused",)},
    )  # fmt: skip
    for _ in range(3):
        workload.step()
    torch.cuda.synchronize(device)
    torch.cuda.profiler.start()
    workload.step()
    torch.cuda.synchronize(device)
    torch.cuda.profiler.stop()
    workload.teardown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=available_devices()[-1])
    parser.add_argument("--pipeline", nargs="+", default=["resize", "geometric"])
    parser.add_argument("--image-batch", type=int, nargs="+", default=[64])
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["fp32"])
    parser.add_argument("--counters", action="store_true", help="time nothing, and run for Nsight Compute")
    options = parser.parse_args()
    device = open_device(options.device)
    asked = [(p, *more) for p in options.pipeline for more in itertools.product(options.image_batch, options.precision)]
    if options.counters:
        for pipeline, batch_size, precision in asked:
            show_to_ncu(pipeline, device, batch_size, precision)
        return
    ceiling = measure_copy_ceiling(device)
    print(f"{device_name(device)}, torch {torch.__version__}; copies {(ceiling or 0) / 1e12:.2f} TB/s read and written")
    for pipeline, batch_size, precision in asked:
        tell(pipeline, device, batch_size, precision, ceiling)


if __name__ == "__main__":
    main()
