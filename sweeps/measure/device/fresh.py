"""A process that has measured before, made as good as new."""

from __future__ import annotations

import gc
import random

import numpy as np
import torch

from sweeps.measure.device.device import synchronize
from sweeps.measure.device.memory_counters import empty_cache, reset_peaks
from workloads.runtime.torch_private import has_compiled


def reset_device_state(device: torch.device, seed: int) -> None:
    """Make a process that has measured before as good as new: allocator, peaks, compiler, seeds."""
    gc.collect()
    if device.type != "cpu":
        synchronize(device)
        empty_cache(device)
        reset_peaks(device)
    if has_compiled():
        torch.compiler.reset()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
