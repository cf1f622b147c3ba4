"""How training slows down at the very end of a device's memory, and that the allocator is why.

    python tests/benchmarks/full_device.py [--device NAME] [--batch-size 64 320 336 344 348] [--image-size 512]

ResNet-50 is trained at one batch size after another. Beside the rate stand the memory that the allocator held at most and
how often, in a step, it found none, gave back what it kept and asked the device again. With
``PYTORCH_ALLOC_CONF=expandable_segments:True`` before the command PyTorch's other way to keep memory is measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from near_limits import made

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.measure.device.device import available_devices, device_name, open_device
from sweeps.measure.device.errors import is_out_of_memory
from sweeps.measure.device.memory_counters import allocation_retries, empty_cache, memory_now, reset_peaks
from sweeps.measure.timing.clock import Timer
from workloads.precision import apply_precision

N_WARMUP, N_STEPS = 4, 8


def trained(device: torch.device, batch_size: int, image_size: int) -> str:
    """A row of the table."""
    empty_cache(device)
    reset_peaks(device)
    workload = made(
        "finetune", device, batch_size=batch_size, precision="bf16", model="resnet50", memory_format="channels_last",
        options={"image_size": image_size, "epochs": 1e6},
    )  # fmt: skip
    timer = Timer(device)
    try:
        for _ in range(N_WARMUP):
            timer.time(workload.step)
        before = allocation_retries(device)
        seconds = float(np.mean([timer.time(workload.step) for _ in range(N_STEPS)]))
        after = allocation_retries(device)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return f"| {batch_size} | out of memory | | |"
    finally:
        workload.teardown()
    held = memory_now(device).peak_reserved_bytes
    retries = "" if before is None or after is None else f"{(after - before) / N_STEPS:.1f}"
    return (
        f"| {batch_size} | {batch_size / seconds:,.0f} | {'' if held is None else f'{held / 2**30:.1f}'} | {retries} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default=available_devices()[-1])
    parser.add_argument("--batch-size", type=int, nargs="+", default=[64, 320, 336, 344, 348])
    parser.add_argument("--image-size", type=int, default=512)
    options = parser.parse_args()
    device = open_device(options.device)
    apply_precision("bf16")
    print(
        f"{device_name(device)}, torch {torch.__version__}: ResNet-50, bf16, {options.image_size} x {options.image_size}"
    )
    print("| batch size | images/s | held at most (GiB) | retries a step |\n| ---: | ---: | ---: | ---: |")
    for batch_size in options.batch_size:
        print(trained(device, batch_size, options.image_size), flush=True)


if __name__ == "__main__":
    main()
