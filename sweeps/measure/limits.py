"""Limits: the FLOPs and bytes of a step, and the ceilings of this very device to hold them against.

Ceilings are measured, never looked up: a large matrix product per precision and a large copy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from sweeps.measure.device import is_out_of_memory, is_unsupported, unsupported_reason
from sweeps.measure.timing import Timer

CEILING_S = 0.4
_MATMUL_SIZES = {"cpu": 1536}
_COPY_BYTES = {"cpu": 256 * 2**20}
_DEFAULT_MATMUL_SIZE, _DEFAULT_COPY_BYTES = 8192, 2**30
_DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def _tensors(values: Iterable[Any]) -> Iterable[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


class ByteCounter(TorchDispatchMode):
    """Counts the bytes of each operation's tensor arguments and results, each once; views count nothing.

    An upper estimate of memory traffic: what a fused or cached operation does not move is counted too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not getattr(func, "is_view", False):
            seen: dict[int, int] = {}
            for tensor in (*_tensors(args), *_tensors((kwargs or {}).values()), *_tensors((result,))):
                seen[id(tensor)] = tensor.numel() * tensor.element_size()
            self.n_bytes += sum(seen.values())
        return result


def convolution_backward_flops(
    grad_out_shape: list[int], x_shape: list[int], w_shape: list[int], _bias: Any, _stride: Any, _padding: Any,
    _dilation: Any, transposed: bool, _output_padding: Any, _groups: int, output_mask: list[bool], **_: Any,
) -> int:  # fmt: skip
    """FLOPs of a convolution's backward pass: as many as forward for each gradient asked for.

    Replaces torch's own formula, which leaves the groups out and counts a depthwise layer's weight gradient
    as if every channel met every other: thirteen times too much for EfficientNet.
    """
    positions = math.prod(x_shape if transposed else grad_out_shape)
    forward = 2 * positions * math.prod(w_shape[1:])
    return forward * (int(output_mask[0]) + int(output_mask[1]))


_FORMULAS = {torch.ops.aten.convolution_backward: convolution_backward_flops}


def count_step(step: Callable[[], object]) -> tuple[float | None, float | None]:
    """FLOPs and bytes of one step; None where nothing is known, as inside a compiled graph."""
    try:
        with FlopCounterMode(display=False, custom_mapping=_FORMULAS) as flops, ByteCounter() as moved:
            step()
    except (RuntimeError, NotImplementedError, AssertionError, TypeError):
        return None, None  # a step that cannot run under a dispatch mode has unknown counts, and runs on
    return float(flops.get_total_flops()) or None, float(moved.n_bytes) or None


def _best_s(timer: Timer, step: Callable[[], object]) -> float:
    """Shortest of the repetitions that fit in CEILING_S, at least three: a ceiling is the best seen."""
    timer.time(step)
    end, best, n = time.perf_counter() + CEILING_S, float("inf"), 0
    while n < 3 or time.perf_counter() < end:
        best, n = min(best, timer.time(step)), n + 1
    return best


def measure_flop_ceiling(device: torch.device, precision: str) -> float | None:
    """FLOP/s of a large square matrix product in a precision; None if the device lacks it.

    The process's float32 precision must be set already, as for the cells.
    """
    if unsupported_reason(device, precision) is not None:
        return None
    n = _MATMUL_SIZES.get(device.type, _DEFAULT_MATMUL_SIZE)
    while n >= 256:
        try:
            # Random values: products of zeros draw less power and run faster than real ones.
            a = torch.randn(n, n, device=device, dtype=_DTYPES[precision])
            out = torch.empty_like(a)
            return 2 * n**3 / _best_s(Timer(device), lambda a=a, out=out: torch.mm(a, a, out=out))  # type: ignore[misc]
        except Exception as error:
            if is_unsupported(error):
                return None
            if not is_out_of_memory(error):
                raise
            n //= 2
    return None


def measure_copy_ceiling(device: torch.device) -> float | None:
    """Bytes per second of a large copy within the device's memory, read plus written."""
    n_bytes = _COPY_BYTES.get(device.type, _DEFAULT_COPY_BYTES)
    while n_bytes >= 2**20:
        try:
            source = torch.ones(n_bytes // 4, device=device)
            target = torch.empty_like(source)
            return 2 * n_bytes / _best_s(Timer(device), lambda s=source, t=target: t.copy_(s))  # type: ignore[misc]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            n_bytes //= 4
    return None


def limits_columns(step: Callable[[], object], row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of the trials table: counts of one step, rates by the row's median step, and shares of its ceilings."""
    flops, moved = count_step(step)
    median, top_flops, top_bytes = (
        row.get("step_median_s"),
        row.get("ceiling_flop_per_s"),
        row.get("ceiling_bytes_per_s"),
    )
    columns: dict[str, Any] = {"flops_per_step": flops, "bytes_per_step": moved}
    if flops is not None and median:
        columns["achieved_flop_per_s"] = flops / median
        columns["flop_share_ratio"] = None if not top_flops else flops / median / top_flops
    if moved is not None and median:
        columns["achieved_bytes_per_s"] = moved / median
        columns["bandwidth_share_ratio"] = None if not top_bytes else moved / median / top_bytes
    if flops is not None and moved is not None:
        columns["intensity_flop_per_byte"] = flops / moved
    return columns
