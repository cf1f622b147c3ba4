"""Why an image pipeline is as fast as it is: what the host needs to launch it, and what each kernel takes.

    python tests/benchmarks/image_profile.py [--device NAME] [--pipeline resize geometric] [--image-batch 64]

For each implementation: the time of a step when many are queued; the host's time to launch one, from an empty queue; and
the kernels by torch.profiler, with the bytes that the pipeline must move at least over what the device copies in that
time. A step that takes what its kernels take can only be helped by better kernels; one that takes longer waits for the
host, and a captured graph (``reduce-overhead``) is what helps.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from near_limits import in_turns, made, off_by
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.measure.ceilings import measure_copy_ceiling  # noqa: E402
from sweeps.measure.device import available_devices, device_name, open_device, synchronize  # noqa: E402
from sweeps.measure.timing import Timer  # noqa: E402

N_PROFILED, N_LAUNCHED, N_NAMED = 20, 10, 6


def launch_s(step: Callable[[], object], device: torch.device) -> float:
    """Seconds of the host for one step, the least of several runs from an empty queue."""
    found = []
    for _ in range(5):
        synchronize(device)
        began = time.perf_counter()
        for _ in range(N_LAUNCHED):
            step()
        found.append((time.perf_counter() - began) / N_LAUNCHED)
    synchronize(device)
    return min(found)


def kernels(step: Callable[[], object], device: torch.device) -> list[tuple[str, float]]:
    """Names and seconds a step of what ran on the device, the longest first; empty on a CPU."""
    if device.type == "cpu":
        return []
    activities = [getattr(ProfilerActivity, device.type.upper())]
    with profile(activities=activities, acc_events=True) as profiler:
        for _ in range(N_PROFILED):
            step()
        synchronize(device)
    found: dict[str, float] = {}
    for event in profiler.events():
        if event.device_type.name == device.type.upper() and event.key != "Activity Buffer Request":
            found[event.key] = found.get(event.key, 0.0) + event.device_time_total / 1e6 / N_PROFILED
    return sorted(found.items(), key=lambda pair: -pair[1])


def tell(pipeline: str, device: torch.device, batch_size: int, ceiling: float | None) -> None:
    timer = Timer(device)
    variants = {"eager": ("eager", "none"), "fused": ("fused", "none")}
    if device.type != "cpu":
        variants["fused, reduce-overhead"] = ("fused", "reduce-overhead")
    workloads = {
        name: made(
            "image-processing", device, batch_size=batch_size, precision="fp32", compile=mode,
            options={"pipeline": (pipeline,), "implementation": (implementation,)},
        )
        for name, (implementation, mode) in variants.items()
    }  # fmt: skip
    seconds = in_turns({n: w.step for n, w in workloads.items()}, timer, n_rounds=7, round_s=0.1, is_queued=True)
    print(f"\n{pipeline}, fp32, {batch_size} of 427 x 640")
    print(
        "| what | ms a step | times eager | host's launch, ms | kernels, ms | least bytes over the copy ceiling, ms | |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, workload in workloads.items():
        found = kernels(workload.step, device)
        moved = workload.least_bytes()  # type: ignore[attr-defined]
        longest = "; ".join(f"{s * 1e3:.3f} {key[:60]}" for key, s in found[:N_NAMED])
        least = f"{1e3 * moved / ceiling:.3f}" if moved and ceiling else ""
        print(f"| {name} | {seconds[name] * 1e3:.3f} | {seconds['eager'] / seconds[name]:.2f} |"
              f" {launch_s(workload.step, device) * 1e3:.3f} | {sum(s for _, s in found) * 1e3:.3f} | {least} |"
              f" off by {off_by(workload):.5f}; {longest} |", flush=True)  # fmt: skip
        workload.teardown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=available_devices()[-1])
    parser.add_argument("--pipeline", nargs="+", default=["resize", "geometric"])
    parser.add_argument("--image-batch", type=int, nargs="+", default=[64])
    options = parser.parse_args()
    device = open_device(options.device)
    ceiling = measure_copy_ceiling(device)
    print(f"{device_name(device)}, torch {torch.__version__}; copies {(ceiling or 0) / 1e12:.2f} TB/s read and written")
    for pipeline in options.pipeline:
        for batch_size in options.image_batch:
            tell(pipeline, device, batch_size, ceiling)


if __name__ == "__main__":
    main()
