"""Limits: the FLOPs and bytes of a step, and its share of the ceilings measured on the same device.

A fused or cached operation moves less than is counted here, so bytes are an upper estimate of memory traffic; what a
compiled graph does inside is not seen at all: its FLOPs are those of the same step run without torch.compile, and its
bytes the least that it must move, where the workload knows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from sweeps.measure.formulas import FORMULAS
from workloads.runtime.without_compiler import TorchDispatchMode, flop_counter

_READ_NOTHING = {"aten::copy_", "aten::fill_", "aten::zero_", "aten::normal_", "aten::uniform_", "aten::random_"}
"""Operations in place that overwrite their tensor without reading it."""
_TOUCH_NOTHING = {
    "aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided",
}  # fmt: skip
"""Operations that hand out memory without writing to it."""


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _n_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of distinct tensors; a dimension that was only expanded is in memory once."""
    total = 0
    for tensor in {id(t): t for t in tensors}.values():
        expanded = tensor.layout == torch.strided and 0 in tensor.stride()
        shape = (
            [n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride] if expanded else tensor.shape
        )
        total += math.prod(shape) * tensor.element_size()
    return total


def _reads_shapes_only(name: str) -> bool:
    """Operations that make a tensor like a given one without reading what is in it, such as ``zeros_like``."""
    return name.endswith("_like") or name.startswith("aten::new_")


def _traffic(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int:
    """Bytes that one operation reads and writes, told from its schema; 0 for one that makes a view."""
    schema = func._schema
    if schema.name in _TOUCH_NOTHING:
        return 0
    reads: list[torch.Tensor] = []
    writes: list[torch.Tensor] = []
    for i, argument in enumerate(schema.arguments):
        tensors = list(_tensors(args[i] if i < len(args) else kwargs.get(argument.name)))
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if is_written:
            writes += tensors
        if not is_written or not (argument.is_out or schema.name in _READ_NOTHING):
            reads += [] if _reads_shapes_only(schema.name) else tensors
    if not writes:
        held = {t.untyped_storage()._cdata for t in reads if t.layout == torch.strided}
        made = list(_tensors(result))
        writes = [t for t in made if t.layout != torch.strided or t.untyped_storage()._cdata not in held]
        if made and not writes:
            return 0
    return _n_bytes(reads) + _n_bytes(writes)


class ByteCounter(TorchDispatchMode):
    """Counts the bytes that each operation reads and writes, each tensor once per operation.

    Attributes:
        n_bytes: Bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.n_bytes += _traffic(func, args, kwargs or {}, result)
        return result


def count_step(step: Callable[[], object]) -> tuple[float | None, float | None]:
    """FLOPs and bytes of one step, which is run once; None where nothing is known, as inside a compiled graph.

    FLOPs are torch's own count: products and convolutions, two for each multiplication with its addition.
    """
    try:
        with flop_counter(custom_mapping=FORMULAS) as flops, ByteCounter() as moved:
            step()
    except (RuntimeError, NotImplementedError, AssertionError, TypeError):
        return None, None  # a step that cannot run under a dispatch mode has unknown counts, and runs on
    return float(flops.get_total_flops()) or None, float(moved.n_bytes) or None


def _over(value: float | None, by: float | None) -> float | None:
    return None if value is None or not by else value / by


def limits_columns(
    step: Callable[[], object], row: Mapping[str, Any], *, compiled_bytes: Callable[[], float | None] | None = None
) -> dict[str, float | None]:
    """Columns of the trials table: counts of one step, rates by the row's median step, and shares of its ceilings.

    Args:
        step: The cell's step, run once more; where torch.compile ran it, the same step without.
        row: With ``step_median_s``, ``ceiling_flop_per_s`` and ``ceiling_bytes_per_s``; what is missing leaves its
            columns None.
        compiled_bytes: What tells the bytes of a compiled step, which are not those of ``step``.
    """
    flops, moved = count_step(step)
    if compiled_bytes is not None:
        moved = compiled_bytes()
    flop_rate, byte_rate = _over(flops, row.get("step_median_s")), _over(moved, row.get("step_median_s"))
    return {
        "flops_per_step": flops,
        "bytes_per_step": moved,
        "achieved_flop_per_s": flop_rate,
        "achieved_bytes_per_s": byte_rate,
        **shares({**row, "achieved_flop_per_s": flop_rate, "achieved_bytes_per_s": byte_rate}),
        "intensity_flop_per_byte": _over(flops, moved),
    }


def shares(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Columns of the trials table: what a row with both rates achieves of both ceilings."""
    return {
        "flop_share_ratio": _over(row["achieved_flop_per_s"], row.get("ceiling_flop_per_s")),
        "bandwidth_share_ratio": _over(row["achieved_bytes_per_s"], row.get("ceiling_bytes_per_s")),
    }
