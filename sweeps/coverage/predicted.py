"""What a prediction asks beside the operations of a coverage sweep, and of which devices it can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweeps.coverage.child.kernels import predictable_devices
from sweeps.coverage.options import OperationCoverage
from workloads.base import BadInputError, axes_of
from workloads.registry import load_workload, workload_names

WHOLE = ("models", "workloads")
"""Sources of what is predicted as a whole: a model of torchvision's zoo, a step of a workload."""
_WORK = "pipeline"
"""The option by which a workload dispatches other operations altogether."""


def devices_to_predict(asked: Sequence[str]) -> tuple[str, ...]:
    """The devices named, of which torch's list of kernels must know; BadInputError if none is."""
    known = predictable_devices()
    for name in asked or ("",):
        if name not in known:
            told = f"{name!r} is in no list of kernels" if name else "--predict needs the name of one"
            raise BadInputError(f"--device: {told}; allowed: {', '.join(known)}")
    return tuple(asked)


def whole_operations(options: OperationCoverage) -> list[dict[str, Any]]:
    """Every model of torchvision's zoo that is not quantised, and the workloads, as a child lists operations."""
    from workloads.operations.zoo import SMOKE_MODELS
    from workloads.runtime.without_compiler import import_torchvision

    models = SMOKE_MODELS if options.smoke else import_torchvision().models.list_models(exclude=["quantized*"])
    listed = [{"source": "models", "name": name, "family": "torchvision models"} for name in models]
    listed += [{"source": "workloads", "name": name, "family": "workloads"} for name in _steps()]
    return [{**entry, "dtypes": ["fp32"]} for entry in listed]


def _steps() -> list[str]:
    """The workloads with the options by which what they do differs: ``image-processing pipeline=resize``."""
    names = []
    for name in workload_names():
        values = axes_of(load_workload(name).Options()).get(_WORK)
        names += [name] if values is None else [f"{name} {_WORK}={value}" for value in values]
    return names
