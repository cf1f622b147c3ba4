"""In the child: what a model dispatches, and each such call replayed on a device."""

from __future__ import annotations

import functools
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sweeps.coverage.child.calls import FORWARD
from sweeps.coverage.child.differences import tensors_of
from sweeps.coverage.child.verdicts import run_direction
from sweeps.coverage.child.whole_model import as_it_is, parts_of, run_parts, run_whole
from workloads.operations.base import DTYPES, Operation, Sample
from workloads.operations.encoding import NotPlainError, encode, n_elements
from workloads.operations.zoo import build_untrained, model_inputs
from workloads.runtime.without_compiler import TorchDispatchMode

MAX_CALLS = 6
_NO_COMPUTATION = ("aten::detach", "aten::lift_fresh", "aten::_local_scalar_dense", "aten::item")
_RESAMPLES = re.compile(r"upsample|grid_sampler|interpolate|roi_align|affine_grid")
_UNINITIALISED = re.compile(r"^aten\.(new_)?empty(_|\.|$)")


class DispatchRecorder(TorchDispatchMode):
    """Keeps the calls of each operation that reaches the dispatcher, different shapes once, at most MAX_CALLS.

    Attributes:
        calls: Calls by operation, in the order they were first seen.
        counts: How often each was called.
        parts: What of the model is compared; see ``whole_model``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[Any, dict[str, Sample]] = {}
        self.counts: Counter[Any] = Counter()
        self.parts: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if str(function.name()) not in _NO_COMPUTATION:
            self.counts[function] += 1
            seen = self.calls.setdefault(function, {})
            shape = _shape_key(args, kwargs)
            if shape not in seen and len(seen) < MAX_CALLS:
                # Copied before the call, which may write into its arguments.
                seen[shape] = Sample(function=function, args=tuple(args), kwargs=kwargs).changed(_copy)
        return function(*args, **kwargs)


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def _shape_key(args: Any, kwargs: Any) -> str:
    try:
        return json.dumps(encode((tuple(args), kwargs)), sort_keys=True)
    except NotPlainError:
        return str([tuple(t.shape) for t in tensors_of((args, kwargs))])


@dataclass(frozen=True, kw_only=True)
class DispatchedOperation(Operation):
    """An operation of the dispatcher with a model's calls of it, below autograd, with the values they had."""

    calls: Sequence[Sample]
    source: str = "dispatch"
    family: str = "dispatched"

    def samples(self, dtype: str) -> Iterator[Sample]:
        """The calls, their floating tensors in the type; they were recorded in float32."""
        wanted = DTYPES[dtype]
        for call in sorted(self.calls, key=lambda c: n_elements(encode(tuple(tensors_of(c.args))))):
            yield call.cast(wanted).changed(lambda value: wanted if value is torch.float32 else value)


@functools.cache
def record_dispatch(name: str, train: bool, side: int | None = None) -> DispatchRecorder:
    """Run a model of the zoo on the CPU in fp32 with random weights and record what it dispatches.

    On inputs of ``model_inputs``, which ``side`` is of.

    Attention is computed by its parts, since its fused forms are named after the backend that has them.
    """
    torch.manual_seed(0)
    model, inputs, recorder = build_untrained(name), model_inputs(name, side), DispatchRecorder()
    with sdpa_kernel(SDPBackend.MATH):
        recorder.parts = parts_of(model, inputs)
        with warnings.catch_warnings(action="ignore"), recorder:
            run_parts(model, inputs, recorder.parts, train=train, keep=as_it_is)
    return recorder


def answer_request(request: Mapping[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Answer one of three questions about a model: ``record``, ``replay`` one operation, or run the ``whole`` model."""
    from sweeps.measure.device.device import open_device, set_threads

    set_threads(request["n_threads"])
    name, train, side = request["model"], request["train"], request["side"]
    if request["ask"] == "record":
        counts = {str(f): n for f, n in record_dispatch(name, train, side).counts.items()}
        send({"event": "recorded", "operations": counts})
        return
    device = open_device(request["device"])
    if request["ask"] == "whole":
        parts = record_dispatch(name, train, side).parts
        torch.manual_seed(0)
        model, inputs = build_untrained(name), model_inputs(name, side)
        send({"event": "whole", **run_whole(model, inputs, device, request["dtype"], parts, train=train)})
        return
    calls = next(
        calls for f, calls in record_dispatch(name, train, side).calls.items() if str(f) == request["operation"]
    )
    sides = [side for call in calls.values() for tensor in call.tensors for side in tensor.shape[2:]]
    operation = DispatchedOperation(
        name=request["operation"], calls=list(calls.values()),
        n_positions=max(sides, default=1) if _RESAMPLES.search(request["operation"]) else 1,
        not_compared="its memory is uninitialised" if _UNINITIALISED.match(request["operation"]) else None,
    )  # fmt: skip
    row = run_direction(operation, request["dtype"], device, FORWARD, max_samples=MAX_CALLS)
    send({"event": "row", "row": row})
