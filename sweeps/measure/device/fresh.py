"""A process that has measured before, made as good as new."""

from __future__ import annotations

import contextlib
import gc
import random

import numpy as np
import torch

from sweeps.measure.device.device import synchronize
from sweeps.measure.device.memory_counters import empty_cache, reset_peaks
from workloads.runtime.torch_private import has_compiled


def take_workspaces(device: torch.device) -> None:
    """Have the device's libraries take the memory that they take once in a process and keep, such as cuBLAS's.

    Else the first cell that multiplies matrices pays for it, or all cells after the ceilings do: 32 to 50 MiB on an
    H100, as much as a small network.
    """
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        with contextlib.suppress(RuntimeError, NotImplementedError, TypeError):  # of a type that the device lacks
            a, image = (
                torch.ones(64, 64, device=device, dtype=dtype),
                torch.ones(1, 8, 16, 16, device=device, dtype=dtype),
            )
            torch.addmm(a[0], a, a)
            torch.mm(a, a)
            torch.nn.functional.conv2d(image, image[0].expand(8, 8, 16, 16)[..., :3, :3].contiguous())
            synchronize(device)


def reset_device_state(device: torch.device, seed: int) -> None:
    """Make a process that has measured before as good as new: allocator, peaks, compiler, seeds."""
    gc.collect()
    if device.type != "cpu":
        take_workspaces(device)
        synchronize(device)
        empty_cache(device)
        reset_peaks(device)
    if has_compiled():
        torch.compiler.reset()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
