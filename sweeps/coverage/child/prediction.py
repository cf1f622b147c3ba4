"""Rows of the operations table that are predicted: what a call dispatches, looked up in a list of kernels."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sweeps.coverage.child.calls import BACKWARD, CPU, DIRECTIONS, FORWARD, call
from sweeps.coverage.child.differences import tensors_of
from sweeps.coverage.child.kernels import COMPOSITE, KERNEL, Kernels, kernels_of
from workloads.base import UnsupportedError
from workloads.operations.base import Operation, evenly, operations_of
from workloads.operations.zoo import is_detector, on_meta
from workloads.runtime.torch_private import leaves_of
from workloads.runtime.without_compiler import TorchDispatchMode
from workloads.runtime.words import in_short

PREDICTED = "predicted"
NOTHING_COMPUTED = ("aten::detach", "aten::lift_fresh", "aten::_local_scalar_dense", "aten::item", "profiler::")
META = torch.device("meta")


class Watched(TorchDispatchMode):
    """Notes the operations that reach the dispatcher below autograd with tensors of one device, and types they give.

    On the meta device, which computes shapes and no values, operations that stay on the CPU are distinguished from
    those that run on the device. Where values decide what follows, the CPU stands in for the device, and types are not
    noted.

    Attributes:
        names: Operations, in the order they were first seen.
        dtypes: Types of the tensors that they gave.
    """

    def __init__(self, device: torch.device = META) -> None:
        super().__init__()
        self._device = device
        self.names: dict[str, None] = {}
        self.dtypes: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name, given = str(function.name()), _on(self._device, result)
        if not name.startswith(NOTHING_COMPUTED) and (given or _on(self._device, (args, kwargs))):
            self.names[name] = None
            self.dtypes |= {str(t.dtype).removeprefix("torch.") for t in given if self._device == META}
        return result

    def add(self, other: Watched) -> None:
        """What another one saw, too."""
        self.names |= other.names
        self.dtypes |= other.dtypes


def _on(device: torch.device, values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in leaves_of(values) if isinstance(leaf, torch.Tensor) and leaf.device.type == device.type]


@contextlib.contextmanager
def without_cpus_own() -> Iterator[None]:
    """Dispatch what any backend does, where the CPU has operators that are named after it: attention, oneDNN."""
    with (
        warnings.catch_warnings(action="ignore"),
        sdpa_kernel(SDPBackend.MATH),
        torch.backends.mkldnn.flags(enabled=False),
    ):
        yield


def judged(watched: Watched, kernels: Kernels, *, can_fall_back: bool, dtype: str = "fp32") -> dict[str, Any]:
    """The columns that say what is predicted of a call that dispatches what was watched.

    Types are judged of calls in fp32 alone: in half precision the CPU widens where others do not.
    """
    names = list(watched.names)
    missing = [name for name in names if kernels.kind(name) not in {KERNEL, COMPOSITE}]
    types = kernels.lacks(watched.dtypes) if dtype == "fp32" else []
    told = [f"{', '.join(missing)}: no kernel for {kernels.backend}"] if missing else []
    told += [f"computes in {' and '.join(types)}, which {kernels.backend} lacks"] if types else []
    # What lacks a type raises, whether operators may fall back or not.
    verdict = "unsupported" if types or (missing and not can_fall_back) else "fallback" if missing else "supported"
    return {
        "verdict": verdict, "reason": ": ".join([kernels.said, *told]), "aten_operations": sorted(names) or None,
        "fallback_operations": sorted(missing) if verdict == "fallback" else None,
    }  # fmt: skip


def _row(direction: str, n_samples: int, began: float, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "direction": direction, **columns, "evidence": PREDICTED, "n_samples": n_samples,
        "torch_version": torch.__version__, "torchvision_version": version("torchvision"),
        "wall_s": time.perf_counter() - began,
    }  # fmt: skip


def predict_direction(
    operation: Operation, dtype: str, device: str, direction: str, *, max_samples: int, can_fall_back: bool
) -> dict[str, Any] | None:
    """Columns of the operations table for a call of the coverage sweep; None where no gradient is defined."""
    began, watched, n_run = time.perf_counter(), Watched(), 0
    samples = evenly(list(operation.samples(dtype)), max_samples)
    if direction == BACKWARD:
        samples = [sample for sample in samples if any(tensor.requires_grad for tensor in sample.tensors)]
    for sample in samples:
        for where in (META, CPU):
            seen = Watched(where)
            with contextlib.suppress(Exception), without_cpus_own():  # what neither runs says nothing of another device
                call(sample, direction, where, seen)
                watched.add(seen)
                n_run += 1
                break
    if direction == BACKWARD and not n_run:
        return None
    if not n_run:
        columns = {
            "verdict": "unknown",
            "reason": f"{kernels_of(device).said}: neither the CPU nor meta runs its samples",
        }
        return _row(direction, 0, began, columns)
    return _row(direction, n_run, began, judged(watched, kernels_of(device), can_fall_back=can_fall_back, dtype=dtype))


def _loss(output: Any) -> torch.Tensor:
    tensors = [t for t in tensors_of(output) if t.requires_grad]
    return torch.stack([t.square().mean() for t in tensors]).sum()


def watch_model(name: str, *, train: bool) -> Watched:
    """What a model of the zoo dispatches with random weights; detectors, whose values decide, on the CPU."""
    watched = Watched(CPU if is_detector(name) else META)
    model, inputs = on_meta(name)
    with without_cpus_own(), watched:
        if train:
            _loss(model(*inputs)).backward()
        else:
            with torch.no_grad():
                model(*inputs)
    return watched


def _watch_step(name: str, options: Mapping[str, Any], device: torch.device) -> Watched:
    from sweeps.plan.cell_options import options_instance
    from workloads.base import CellContext
    from workloads.registry import load_workload

    kind, watched = load_workload(name), Watched(device)
    model = (*kind.defaults.model, "none")[0]
    context = CellContext(
        device=device, batch_size=4, precision="fp32", model=model, memory_format="contiguous", compile="none", seed=0,
        options=options_instance(kind, dict(options)),
    )  # fmt: skip
    workload = kind(context)
    try:
        workload.setup()
        with without_cpus_own(), watched:
            workload.step()
    finally:
        workload.teardown()
    return watched


def watch_workload(name: str, options: Mapping[str, Any]) -> Watched:
    """What one step of a workload dispatches in fp32, set-up left out.

    Raises:
        UnsupportedError: The workload itself says that no device but some has what it needs.
    """
    try:
        return _watch_step(name, options, META)
    except UnsupportedError:
        raise
    except Exception:  # values decide what it does
        return _watch_step(name, options, CPU)


def _workload_of(operation: str) -> tuple[str, dict[str, Any]]:
    """A workload and its options from words such as ``image-processing pipeline=resize``."""
    name, *words = operation.split()
    return name, dict(word.split("=", 1) for word in words)


def predict_whole(cell: Mapping[str, str], *, can_fall_back: bool) -> list[dict[str, Any]]:
    """Rows of a whole model, both directions, or of a workload's step."""
    watches: dict[str, Callable[[], Watched]] = {}
    if cell["source"] == "workloads":
        watches[FORWARD] = lambda: watch_workload(*_workload_of(cell["operation"]))
    else:
        watches[FORWARD] = lambda: watch_model(cell["operation"], train=False)
        if not is_detector(cell["operation"]):
            watches[BACKWARD] = lambda: watch_model(cell["operation"], train=True)
    rows = []
    for direction, watch in watches.items():
        began, kernels = time.perf_counter(), kernels_of(cell["device"])
        try:
            columns = judged(watch(), kernels, can_fall_back=can_fall_back)
        except UnsupportedError as error:
            columns = {"verdict": "unsupported", "reason": f"{kernels.said}: {error}".replace("meta", cell["device"])}
        except Exception as error:
            reason = f"{kernels.said}: cannot be watched: {in_short(error)}"
            columns = {"verdict": "unknown", "reason": reason}
        rows.append(_row(direction, 1, began, columns))
    return rows


def predict_cell(
    cell: Mapping[str, str], calls: Sequence[Any] | None, *, max_samples: int, can_fall_back: bool
) -> Iterator[dict[str, Any]]:
    """Rows of a cell of a coverage sweep, as soon as each is there."""
    if cell["source"] in {"models", "workloads"}:
        yield from predict_whole(cell, can_fall_back=can_fall_back)
        return
    operations = {o.name: o for o in operations_of(cell["source"], {cell["operation"]: calls or []})}
    for direction in DIRECTIONS:
        row = predict_direction(
            operations[cell["operation"]], cell["dtype"], cell["device"], direction, max_samples=max_samples,
            can_fall_back=can_fall_back,
        )  # fmt: skip
        if row is not None:
            yield row
