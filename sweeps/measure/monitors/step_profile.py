"""One step under torch.profiler: where its time goes, its longest kernels or operations, and a trace to look at.

Read from the Chrome trace that the profiler writes, whose categories are the same in all its versions. An accelerator
whose kernels it records waits for the host where it runs none. Elsewhere operations are seen where they are called: on
the CPU that is where they run, so what lies between them is the host's own work; of other devices it tells no share.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as torch_profile

from sweeps.measure.device.device import synchronize
from workloads.runtime.words import in_short, shortened

N_LONGEST = 10
N_BEFORE = 2
"""Steps after which what torch.compile captures of a step is captured."""
MAX_NAME = 300
MAX_TRACE_BYTES = 64 * 2**20
"""Of a compressed trace; a larger one is left out, which is told."""
LEAST_SEEN = 0.01
"""Share of the step under which the profiler has not seen its work."""
STEP = "accelsweep step"
KERNEL, COPY, OPERATION = "kernel", "copy", "operation"
_ON_DEVICE = {"kernel": KERNEL, "gpu_memcpy": COPY, "gpu_memset": KERNEL}
"""Kinds of what the trace puts on an accelerator, by its category."""
_COPIES = {"aten::copy_", "aten::_to_copy", "aten::clone", "aten::_copy_from", "aten::_copy_from_and_resize"}
_GRAPH = "Call CompiledFxGraph"
"""In the name of a call of what torch.compile made; on a CPU its fused kernels are seen as nothing else."""
_COMPUTE_NOTHING = {
    f"aten::{name}" for name in [
        "alias", "as_strided", "as_strided_", "chunk", "detach", "detach_", "empty", "empty_like", "empty_strided",
        "expand", "flatten", "narrow", "new_empty", "permute", "reshape", "_reshape_alias", "resize_", "result_type",
        "select", "slice", "split", "squeeze", "t", "transpose", "unbind", "unsqueeze", "unsafe_chunk", "unsafe_split",
        "_unsafe_view", "view", "view_as",
    ]
}  # fmt: skip
_COLLECTIVE = "nccl"
"""In the names of the kernels of NCCL, and of AMD's library that stands in for it."""
_NOT_ON_DEVICE = "the profiler records no kernels on {}; the operations are those that the host called"
_NOT_SEEN = "the profiler sees less than 1 % of the step: its work is not PyTorch's operations"

Span = tuple[float, float]
"""Begin and end in microseconds of the trace's clock."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a profile found.

    Attributes:
        columns: Of the trials table.
        longest: Rows of the profiles table without the cell's key, longest first.
        trace: The Chrome trace, gzip-compressed JSON; None where there is none.
    """

    columns: dict[str, Any]
    longest: list[dict[str, Any]] = field(default_factory=list)
    trace: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A piece of time that one operation or kernel has to itself."""

    name: str
    kind: str
    span: Span
    is_work: bool = True
    is_first: bool = True  # of the pieces of one call

    @property
    def microseconds(self) -> float:
        return self.span[1] - self.span[0]


def profile_step(step: Callable[[], object], device: torch.device, step_s: float | None) -> Profile:
    """Run a step under the profiler, once unseen and once recorded; never raises but for an interrupt.

    Args:
        step: May return before the device is done.
        device: Where it runs.
        step_s: Seconds that the step takes without the profiler, over which an accelerator's kernels are told; None for
            those of the profiled step.
    """
    try:
        return _read(_traced(step, device), device, step_s)
    except Exception as error:
        return Profile(columns={"profile_reason": in_short(f"the profiler failed: {type(error).__name__}: {error}")})


def _traced(step: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """The trace of one step, with nothing in it that tells whose machine it was."""
    activities = list(torch.profiler.supported_activities()) or [ProfilerActivity.CPU]
    for _ in range(N_BEFORE):
        step()
    # What the profiler initialises at its first use is not the step's.
    with torch_profile(activities=activities):
        step()
        synchronize(device)
    with torch_profile(activities=activities) as profiler, record_function(STEP):
        step()
        synchronize(device)
    with tempfile.TemporaryDirectory(prefix="accelsweep-") as folder:
        file = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(file))
        trace: dict[str, Any] = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    for name in ("host_name", "traceName"):
        trace.pop(name, None)
    return trace


def _read(trace: dict[str, Any], device: torch.device, step_s: float | None) -> Profile:
    events = [event for event in trace["traceEvents"] if event.get("ph") == "X"]
    steps = [event for event in events if event.get("cat") == "user_annotation" and event["name"] == STEP]
    if not steps:
        return Profile(columns={"profile_reason": "the profiler's trace does not hold the step"})
    within = _span(steps[-1])
    kernels = [
        _Piece(name=e["name"], kind=_ON_DEVICE[e["cat"]], span=_span(e)) for e in events if e.get("cat") in _ON_DEVICE
    ]
    pieces = kernels or _own_pieces(e for e in events if e.get("cat") == "cpu_op" and _is_in(e, within))
    profiled_s = (within[1] - within[0]) * 1e-6
    whole_s = step_s if kernels and step_s else profiled_s
    packed = gzip.compress(json.dumps(trace, separators=(",", ":")).encode(), mtime=0)
    is_small = len(packed) <= MAX_TRACE_BYTES
    is_seen = bool(kernels) or device.type == "cpu"
    found = _shares(pieces, whole_s) if is_seen else {"profile_reason": _NOT_ON_DEVICE.format(device.type)}
    left_out = None if is_small else f"the trace of {len(packed) / 2**20:.0f} MiB was left out"
    reason = "; ".join(filter(None, [found.pop("profile_reason", None), left_out])) or None
    columns = {"profiled_step_s": profiled_s, "n_kernels": len(kernels) or None, **found, "profile_reason": reason}
    return Profile(columns=columns, longest=_longest(pieces, whole_s), trace=packed if is_small else None)


def _span(event: dict[str, Any]) -> Span:
    return float(event["ts"]), float(event["ts"]) + float(event.get("dur", 0.0))


def _is_in(event: dict[str, Any], within: Span) -> bool:
    begin, end = _span(event)
    return within[0] <= begin and end <= within[1]


def _own_pieces(events: Iterable[dict[str, Any]]) -> list[_Piece]:
    """Of operations that call others, on each thread, the time that each has to itself.

    What an operation does that calls another one that computes is passing it on; what it does beside mere allocations
    and views is its own work, as oneDNN's convolution.
    """
    threads: dict[Any, list[dict[str, Any]]] = {}
    for event in events:
        threads.setdefault(event.get("tid"), []).append(event)
    pieces: list[_Piece] = []
    for calls in threads.values():
        calls.sort(key=lambda event: (float(event["ts"]), -float(event.get("dur", 0.0))))
        children: list[list[int]] = [[] for _ in calls]
        open_calls: list[int] = []
        for i, call in enumerate(calls):
            while open_calls and _span(calls[open_calls[-1]])[1] <= _span(call)[0]:
                open_calls.pop()
            if open_calls:
                children[open_calls[-1]].append(i)
            open_calls.append(i)
        for i, call in enumerate(calls):
            called = [calls[c] for c in children[i]]
            pieces += _pieces_of(call, called)
    return pieces


def _pieces_of(call: dict[str, Any], called: Sequence[dict[str, Any]]) -> list[_Piece]:
    """The time of a call that none of the calls within it has."""
    name = call["name"]
    passes_on = _GRAPH not in name and any(one["name"] not in _COMPUTE_NOTHING for one in called)
    begin, end = _span(call)
    edges = [begin, *(edge for one in called for edge in _span(one)), end]
    spans = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a] or [(begin, begin)]
    told = "compiled graph" if _GRAPH in name else name
    return [
        _Piece(
            name=told, kind=COPY if name in _COPIES else OPERATION, span=span,
            is_work=not passes_on and name not in _COMPUTE_NOTHING, is_first=n == 0,
        )
        for n, span in enumerate(spans)
    ]  # fmt: skip


def _covered(spans: Iterable[Span]) -> float:
    """Seconds that spans cover together, each moment once."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total * 1e-6


def _shares(pieces: Sequence[_Piece], whole_s: float) -> dict[str, Any]:
    """Computation, copies beside which nothing is computed, and the rest, as shares of a step that sum to one."""
    work = [piece for piece in pieces if piece.is_work]
    computing_s = _covered(piece.span for piece in work if piece.kind != COPY)
    busy_s = _covered(piece.span for piece in work)
    if not busy_s >= LEAST_SEEN * whole_s:
        return {"profile_reason": _NOT_SEEN}
    whole_s = max(whole_s, busy_s)
    return {
        "host_share_ratio": 1.0 - busy_s / whole_s,
        "device_copy_share_ratio": (busy_s - computing_s) / whole_s,
        "computation_share_ratio": computing_s / whole_s,
        **_communication([piece for piece in work if piece.kind != COPY], computing_s, whole_s),
    }


def _communication(kernels: Sequence[_Piece], busy_s: float, whole_s: float) -> dict[str, float]:
    """The share of the step with a collective's kernel, and that with no other kernel beside it; none without any."""
    others = [kernel.span for kernel in kernels if _COLLECTIVE not in kernel.name.lower()]
    if len(others) == len(kernels):
        return {}
    sending_s = _covered(kernel.span for kernel in kernels if _COLLECTIVE in kernel.name.lower())
    return {
        "communication_share_ratio": sending_s / whole_s,
        "exposed_communication_share_ratio": (busy_s - _covered(others)) / whole_s,
    }


def _longest(pieces: Sequence[_Piece], whole_s: float) -> list[dict[str, Any]]:
    """What takes longest, by name: rows of the profiles table."""
    found: dict[tuple[str, str], list[_Piece]] = {}
    for piece in pieces:
        found.setdefault((piece.name, piece.kind), []).append(piece)
    seconds = {key: 1e-6 * sum(piece.microseconds for piece in group) for key, group in found.items()}
    first = sorted(seconds, key=lambda key: -seconds[key])[:N_LONGEST]
    return [
        {
            "rank": rank, "name": shortened(name, MAX_NAME), "kind": kind, "seconds": seconds[name, kind],
            "n_calls": sum(piece.is_first for piece in found[name, kind]), "share_ratio": seconds[name, kind] / whole_s,
        }
        for rank, (name, kind) in enumerate(first, start=1)
    ]  # fmt: skip
