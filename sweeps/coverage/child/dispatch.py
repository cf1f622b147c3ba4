"""In the child: what a model dispatches, each such call replayed on a device, and the model itself run there."""

from __future__ import annotations

import functools
import json
import time
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
from sweeps.measure.device.device import synchronize
from workloads.operations.base import DTYPES, Operation, Sample
from workloads.operations.encoding import NotPlainError, encode, n_elements
from workloads.operations.zoo import build_untrained, model_inputs
from workloads.runtime.torch_private import TorchDispatchMode, tree_map

MAX_CALLS = 6
_NO_COMPUTATION = ("aten::detach", "aten::lift_fresh", "aten::_local_scalar_dense", "aten::item")
MODEL_TOLERANCE = {"fp32": 1e-3, "fp16": 6e-2, "bf16": 0.25}
"""Largest difference over the largest magnitude that a whole network's roundings explain; see ``measure.agreement``."""


class DispatchRecorder(TorchDispatchMode):
    """Keeps the calls of each operation that reaches the dispatcher, different shapes once, at most MAX_CALLS.

    Attributes:
        calls: Calls by operation, in the order they were first seen.
        counts: How often each was called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[Any, dict[str, Sample]] = {}
        self.counts: Counter[Any] = Counter()

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


def _loss(output: Any) -> torch.Tensor:
    """A number that hangs on everything the model gives."""
    tensors = [t for t in tensors_of(output) if t.requires_grad]
    return torch.stack([t.double().square().mean() for t in tensors]).sum()


def _run_model(model: torch.nn.Module, inputs: tuple[Any, ...], *, train: bool) -> Any:
    """The model's output, with gradients left in its parameters if ``train``."""
    if train:
        output = model(*inputs)
        _loss(output).backward()
        return output
    with torch.no_grad():
        return model(*inputs)


@functools.cache
def record_dispatch(name: str, train: bool) -> DispatchRecorder:
    """Run a model of the zoo on the CPU in fp32 with random weights and record what it dispatches.

    Attention is computed by its parts, since its fused forms are named after the backend that has them.
    """
    torch.manual_seed(0)
    model, inputs, recorder = build_untrained(name), model_inputs(name), DispatchRecorder()
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings(action="ignore"), recorder:
        _run_model(model, inputs, train=train)
    return recorder


def _moved(inputs: Any, to: torch.device | torch.dtype) -> Any:
    return tree_map(lambda t: t.to(to) if isinstance(t, torch.Tensor) else t, inputs)


def _whole_model(name: str, device: torch.device, dtype: str, *, train: bool) -> dict[str, Any]:
    """Run the whole model on the device and compare its output with float64 on the CPU."""
    torch.manual_seed(0)
    model, inputs = build_untrained(name).to(DTYPES[dtype]), _moved(model_inputs(name), DTYPES[dtype])
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        right = build_untrained(name)
        right.load_state_dict(model.state_dict())
        expected = tensors_of(right.double()(*_moved(inputs, torch.float64)))
    began = time.perf_counter()
    try:
        ours = tensors_of(_run_model(model.to(device), _moved(inputs, device), train=train))
        synchronize(device)
    except Exception as error:
        return {"runs": False, "reason": f"{type(error).__name__}: {str(error)[:400]}"}
    took = time.perf_counter() - began
    shapes_agree = [a.shape for a in ours] == [b.shape for b in expected]
    worst = _worst(ours, expected) if shapes_agree else None
    agrees = worst is not None and worst <= MODEL_TOLERANCE[dtype] if shapes_agree else None
    return {"runs": True, "agrees": agrees, "max_rel_diff": worst, "first_run_s": took}


def _worst(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float | None:
    """Largest difference over the largest magnitude of the expected tensor; None if only one of two is finite."""
    worst = 0.0
    for a, b in zip(ours, expected, strict=True):
        if not b.numel() or not b.is_floating_point():
            continue
        result, is_known = a.detach().cpu().double(), torch.isfinite(b)
        if not torch.equal(torch.isfinite(result), is_known):
            return None
        if is_known.any():
            largest = max(float(b[is_known].abs().max()), 1e-30)
            worst = max(worst, float((result - b)[is_known].abs().max()) / largest)
    return worst


def answer_request(request: Mapping[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Answer one of three questions about a model: ``record``, ``replay`` one operation, or run the ``whole`` model."""
    from sweeps.measure.device.device import open_device, set_threads

    set_threads(request["n_threads"])
    name, train = request["model"], request["train"]
    if request["ask"] == "record":
        counts = {str(f): n for f, n in record_dispatch(name, train).counts.items()}
        send({"event": "recorded", "operations": counts})
        return
    device = open_device(request["device"])
    if request["ask"] == "whole":
        send({"event": "whole", **_whole_model(name, device, request["dtype"], train=train)})
        return
    calls = next(calls for f, calls in record_dispatch(name, train).calls.items() if str(f) == request["operation"])
    operation = DispatchedOperation(name=request["operation"], calls=list(calls.values()))
    row = run_direction(operation, request["dtype"], device, FORWARD, max_samples=MAX_CALLS)
    send({"event": "row", "row": row})
