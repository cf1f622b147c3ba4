"""One operation in one type and direction on one device: every sample run, compared, and summed up in a verdict."""

from __future__ import annotations

import contextlib
import math
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from sweeps.cell.outcome import outcome_of
from sweeps.coverage.child.calls import BACKWARD, NothingToDifferentiateError, call, reference
from sweeps.coverage.child.differences import Difference, DifferentKindError, comparable, difference
from sweeps.measure.device.device import synchronize
from workloads.operations.base import DTYPES, Operation, Sample, Tolerance, evenly
from workloads.runtime.without_compiler import TorchDispatchMode
from workloads.runtime.words import shortened

ROUNDING_UNITS = 16.0
"""Differences within so many unit roundoffs at the largest magnitude count as rounding, beyond as wrong values.

A handful of operations, each rounded once, with cancellation among values of that magnitude, stay within it (Higham,
Accuracy and Stability of Numerical Algorithms, 3.1: n roundings are off by n units at most).
"""
RANDOM, NO_REFERENCE = "random", "no float64 reference: the CPU raises"
_FALLBACK = re.compile(r"operator '([^']+)'.*fall back to run on the CPU", re.DOTALL)
MAX_REASON = 500


class DeviceLostError(Exception):
    """After an error the device can no longer compute in this process, so that whatever ran next would fail too."""


@dataclass(kw_only=True)
class Tally:
    """What the samples of one direction did so far."""

    n_samples: int = 0
    n_failed: int = 0
    n_wrong: int = 0
    n_fallback: int = 0
    n_compared: int = 0
    n_invalid: int = 0
    worst: Difference = field(default_factory=Difference)
    failure: BaseException | None = None
    wrong_reason: str | None = None
    not_compared: str | None = None
    fallbacks: set[str] = field(default_factory=set)
    first_good: Sample | None = None


class _Dispatched(TorchDispatchMode):
    """Notes the names of the operations that reach the dispatcher below autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(function.name()))
        return function(*args, **(kwargs or {}))


@contextlib.contextmanager
def _noted_fallbacks(into: set[str]) -> Iterator[None]:
    """Collect what is said to fall back to the CPU; every other warning is dropped."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        try:
            yield
        finally:
            found = (_FALLBACK.search(str(warning.message)) for warning in caught)
            into |= {told[1] for told in found if told}


def _computes(device: torch.device) -> bool:
    """Whether the device still computes; an assertion or a bad address on a GPU ends that for the whole process."""
    if device.type == "cpu":
        return True
    try:
        return float(torch.ones(8, device=device).sum().cpu()) == 8.0
    except RuntimeError:
        return False


def _reference(sample: Sample, direction: str, tally: Tally) -> tuple[Any, BaseException | None]:
    """The right answer, or what was raised; notes if it drew random numbers, which no other device repeats."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    try:
        with warnings.catch_warnings(action="ignore"):
            answer = reference(sample, direction)
    except Exception as error:
        return None, error
    if not torch.equal(before, torch.get_rng_state()):
        tally.not_compared = RANDOM
    return answer, None


def _judge(
    tally: Tally, name: str, result: Any, right: Any, direction: str, tolerance: Tolerance, dtype: torch.dtype
) -> None:  # fmt: skip
    """Compare one result with its reference."""
    try:
        ours, theirs = comparable(name, result), comparable(name, right)
        found = difference(ours, theirs, tolerance, dtype=dtype, at_least=1.0 if direction == BACKWARD else 0.0)
    except DifferentKindError as error:
        tally.wrong_reason = str(error)
        found = Difference(tolerance_ratio=math.inf, rounding_units=math.inf)
    tally.n_compared += 1
    tally.n_wrong += not found.tolerance_ratio <= 1
    tally.worst = tally.worst.worst(found)


def _run_sample(
    operation: Operation, sample: Sample, dtype: str, device: torch.device, direction: str, tally: Tally
) -> None:
    """Run one sample and add what happened to the tally."""
    tally.not_compared = operation.not_compared
    right, reference_error = _reference(sample, direction, tally)
    if isinstance(reference_error, NothingToDifferentiateError) or (reference_error and direction == BACKWARD):
        tally.n_invalid += 1
        return
    fallbacks: set[str] = set()
    try:
        with _noted_fallbacks(fallbacks):
            result = call(sample, direction, device)
            synchronize(device)
    except Exception as error:
        if not _computes(device):
            raise DeviceLostError(str(error)) from error
        if reference_error is not None:
            tally.n_invalid += 1
            tally.failure = tally.failure or error
            return
        tally.n_samples, tally.n_failed = tally.n_samples + 1, tally.n_failed + 1
        tally.failure = error if tally.n_failed == 1 else tally.failure
        return
    tally.n_samples += 1
    tally.first_good = tally.first_good or sample
    tally.n_fallback += bool(fallbacks)
    tally.fallbacks |= fallbacks
    if reference_error is not None:
        tally.not_compared = tally.not_compared or NO_REFERENCE
    elif tally.not_compared is None:
        tolerance = operation.tolerance(dtype, device.type)
        _judge(tally, operation.name, result, right, direction, tolerance, DTYPES[dtype])


def _dispatched(sample: Sample | None, direction: str, device: torch.device) -> list[str] | None:
    """What a sample dispatches on the device, autograd included; None if it cannot be watched."""
    if sample is None:
        return None
    watched = _Dispatched()
    try:
        with warnings.catch_warnings(action="ignore"):
            call(sample, direction, device, watched)
            synchronize(device)
    except Exception:  # some operations refuse to run while watched
        return None
    return sorted(watched.names)


def _wrong_text(tally: Tally, tolerance: Tolerance) -> str:
    worst = tally.worst
    if tally.wrong_reason:
        return f"{tally.n_wrong} of {tally.n_compared} samples: {tally.wrong_reason}"
    if math.isinf(worst.tolerance_ratio) and worst.absolute == 0:
        return f"{tally.n_wrong} of {tally.n_compared} samples: NaN or infinity on one side only"
    return (
        f"{tally.n_wrong} of {tally.n_compared} samples; off by {worst.absolute:.3g}"
        f" ({worst.tolerance_ratio:.3g} times the tolerance of {tolerance.absolute:g} + {tolerance.relative:g} x"
        f" magnitude, {worst.rounding_units:.3g} roundings)"
    )


def _verdict(tally: Tally, tolerance: Tolerance, n_positions: int) -> dict[str, Any]:
    """The columns that say how it ended; a silent wrong answer weighs more than a loud failure."""
    if tally.n_wrong:
        kind = "rounding" if tally.worst.rounding_units <= ROUNDING_UNITS * n_positions else "values"
        if kind == "values" or not tally.n_failed:
            return {"verdict": "wrong", "reason": _wrong_text(tally, tolerance), "wrong_by": kind}
    if tally.n_failed or (not tally.n_samples and tally.failure is not None):
        assert tally.failure is not None
        outcome = outcome_of(tally.failure)
        text = (outcome.error_message or outcome.error_type or "").strip()
        partly = f"{tally.n_failed} of {tally.n_samples} samples: " if 0 < tally.n_failed < tally.n_samples else ""
        return {
            "verdict": "unsupported",
            "reason": shortened(partly + text, MAX_REASON),
            "error_type": outcome.error_type,
        }
    if tally.n_fallback:
        names = ", ".join(sorted(tally.fallbacks))
        return {"verdict": "fallback", "reason": f"{names} ran on the CPU; strict mode raises instead"}
    if not tally.n_samples:
        return {"verdict": "unsupported", "reason": "its source has no sample input for this type"}
    return {"verdict": "supported"}


def run_direction(
    operation: Operation, dtype: str, device: torch.device, direction: str, *, max_samples: int
) -> dict[str, Any] | None:
    """Run an operation's samples in one direction.

    Returns:
        Columns of the operations table; None where no gradient is defined.
    """
    began = time.perf_counter()
    tally = Tally()
    try:
        samples = evenly(list(operation.samples(dtype)), max_samples)
    except Exception as error:  # the source itself needs the operation to make its samples
        tally.failure = error
        samples = []
    if direction == BACKWARD and not any(tensor.requires_grad for sample in samples for tensor in sample.tensors):
        return None
    for sample in samples:
        _run_sample(operation, sample, dtype, device, direction, tally)
    if direction == BACKWARD and not tally.n_samples:
        return None
    tolerance = operation.tolerance(dtype, device.type)
    return {
        "direction": direction,
        **_verdict(tally, tolerance, operation.n_positions),
        **_comparison(tally, samples, dtype),
        "fallback_operations": sorted(tally.fallbacks) or None,
        "aten_operations": _dispatched(tally.first_good, direction, device),
        "n_samples": tally.n_samples, "n_failed": tally.n_failed, "n_wrong": tally.n_wrong,
        "n_fallback": tally.n_fallback, "n_compared": tally.n_compared, "n_invalid": tally.n_invalid,
        "tolerance_absolute": tolerance.absolute, "tolerance_relative": tolerance.relative,
        "wall_s": time.perf_counter() - began,
    }  # fmt: skip


def _comparison(tally: Tally, samples: Sequence[Sample], dtype: str) -> dict[str, Any]:
    """The columns that say what results were compared with and how far off they are; or why they were not."""
    if not tally.n_compared:
        return {"not_compared": tally.not_compared}
    same_type = any(s.reference is None for s in samples) and not DTYPES[dtype].is_floating_point
    return {
        "reference": f"cpu {dtype}" if same_type else "cpu fp64",
        "max_abs_diff": tally.worst.absolute, "max_rel_diff": tally.worst.relative,
        "tolerance_ratio": tally.worst.tolerance_ratio, "rounding_units": tally.worst.rounding_units,
    }  # fmt: skip
