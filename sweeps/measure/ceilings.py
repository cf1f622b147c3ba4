"""What this very device can do at most: a large matrix product per precision and a large copy; never looked up."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from sweeps.measure.device.device import total_bytes, unsupported_reason
from sweeps.measure.device.errors import is_out_of_memory, is_unsupported
from sweeps.measure.device.precisions import float32_products
from sweeps.measure.timing.clock import Timer
from workloads.precision import compute_dtype, is_quantised

MAX_PRODUCTS_S = 0.15
"""The next larger product is tried only if three of them are expected within this time."""
MIN_REPEATS, REPEAT_S = 3, 0.02
LEAST_SIZE = 512
"""Tried however long the smaller ones took, which says little on a busy machine."""
_SIZES = (256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384)
_CPU_COPY_BYTES, _MAX_COPY_BYTES, _MIN_COPY_BYTES = 2**27, 2**30, 2**20


def _best_s(timer: Timer, step: Callable[[], object]) -> float:
    """Shortest of some repetitions: a ceiling is the best that was seen."""
    timer.time(step)
    end, best, n = time.perf_counter() + REPEAT_S, float("inf"), 0
    while n < MIN_REPEATS or time.perf_counter() < end:
        best, n = min(best, timer.time(step)), n + 1
    return best


def _product_s(timer: Timer, n: int, dtype: torch.dtype) -> float:
    # Random values: a product of zeros draws less power and runs faster than a real one.
    a = torch.randn(n, n, device=timer.device, dtype=dtype)
    b, out = torch.randn_like(a), torch.empty_like(a)
    # The second is how linear layers hold their weights; some libraries are six times faster in one than the other.
    return min(_best_s(timer, lambda: torch.mm(a, b, out=out)), _best_s(timer, lambda: torch.mm(a, b.t(), out=out)))


def measure_flop_ceiling(device: torch.device, precision: str) -> float | None:
    """FLOP/s of the best square matrix product in a precision, over growing sizes; None if the device lacks it.

    None as well of quantised precisions, whose products no plain matrix stands for.

    Takes about half a second, on slow devices too, and sets the process's float32 precision only meanwhile.

    Args:
        device: An open device.
        precision: One of ``workloads.precision.PRECISIONS``.
    """
    if is_quantised(precision) or unsupported_reason(device, precision) is not None:
        return None
    timer, best = Timer(device), 0.0
    with float32_products(precision):
        for n, following in zip(_SIZES, (*_SIZES[1:], None), strict=True):
            try:
                seconds = _product_s(timer, n, compute_dtype(precision))
            except Exception as error:
                if is_unsupported(error) or is_out_of_memory(error):
                    break
                raise
            best = max(best, 2 * n**3 / seconds)
            if following is None or (n >= LEAST_SIZE and seconds * (following / n) ** 3 * MIN_REPEATS > MAX_PRODUCTS_S):
                break
    return best or None


def measure_copy_ceiling(device: torch.device) -> float | None:
    """Bytes per second of a large copy within the device's memory, read plus written; None if not even 1 MiB fits.

    On the CPU 128 MiB, elsewhere up to 1 GiB: with its copy more than most caches hold. A larger cache makes it too
    high.
    """
    total = total_bytes(device) or _MAX_COPY_BYTES
    n_bytes = _CPU_COPY_BYTES if device.type == "cpu" else min(_MAX_COPY_BYTES, total // 16)
    timer = Timer(device)
    while n_bytes >= _MIN_COPY_BYTES:
        try:
            source = torch.ones(n_bytes // 4, device=device)
            target = torch.empty_like(source)
            return 2 * n_bytes / _best_s(timer, lambda s=source, t=target: t.copy_(s))  # type: ignore[misc]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            n_bytes //= 4
    return None
