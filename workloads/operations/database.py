"""PyTorch's operator database: its operators, sample inputs and tolerances.

It is no public interface and may change with any release; run with torch 2.15.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import logging
import random
import re
import sys
import types
import unittest
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from workloads.operations.base import DTYPES, FLOAT_DTYPES, Operation, OperationsMissingError, Sample, Tolerance
from workloads.runtime.torch_private import operator_database

_NO_VALUES: tuple[tuple[str, str], ...] = (
    (r"^(new_)?empty", "its memory is uninitialised"),
    (r"^(byte|char|short|int|long)$", "values outside of the integer type are undefined"),
    (r"^as_strided\[partial_views\]", "its samples read memory beside the tensors they are given"),
)  # fmt: skip
# First match decides; what matches none is of the database's own class of operators.
_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"(^|\.)conv", "convolution"), (r"pool", "pooling"), (r"attention", "attention"),
    (r"_loss$|cross_entropy|_nll", "loss"),
    (r"nn\.functional\..*norm|^native_(batch|layer|group)_norm", "normalisation"),
    (r"^_?(native_)?batch_norm", "normalisation"),
    (r"interpolate|upsample|grid_sample|affine_grid|pixel_", "resampling"),
    (r"^nn\.functional", "other nn.functional"), (r"^_?fft|stft$", "Fourier transform"),
    (r"^linalg|^(svd|qr|lu|cholesky|ormqr|geqrf|pinverse|logdet|triangular)", "linear algebra"),
    (r"^(mm|bmm|addmm|addbmm|baddbmm|addmv|addr|mv|matmul|__rmatmul__|einsum|inner|outer|ger|dot|vdot|tensordot|chain)",
     "matrix product"),
    (r"^special", "special functions"), (r"^signal", "signal windows"), (r"^masked\.", "masked"),
    (r"rand|bernoulli|multinomial|normal$|uniform|cauchy|exponential|geometric|log_normal", "random"),
    (r"^(new_)?(empty|zeros|ones|full|arange|linspace|logspace|eye)", "creation"),
    (r"scatter|gather|index|take|put|select|masked_|nonzero|where|searchsorted|bucketize", "indexing"),
    (r"sort|topk|kthvalue|unique|mode$|median|quantile|histogram|bincount", "sorting and counting"),
    (r"^torchvision|^torch\.ops", "custom operators"),
)  # fmt: skip
_CLASS_FAMILIES = {
    "UnaryUfuncInfo": "elementwise, one input",
    "BinaryUfuncInfo": "elementwise, two inputs",
    "ReductionOpInfo": "reduction",
    "SpectralFuncInfo": "Fourier transform",
}


def _seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


def _import_database() -> Any:
    """The module with ``op_db``.

    PyTorch's test utilities derive a class from ``expecttest.TestCase``; that package is no dependency of torch, and
    nothing else of it is used here. Where it is not installed, Python's own TestCase stands in while importing.
    """
    missing = importlib.util.find_spec("expecttest") is None
    if missing:
        stand_in = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stand_in
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it says where CUDA is not
    try:
        database = operator_database()
    except ImportError as error:
        raise OperationsMissingError(
            f"torch {torch.__version__} lacks the operator database in torch.testing._internal ({error})"
        ) from error
    finally:
        logging.disable(level)
        if missing:
            sys.modules.pop("expecttest", None)
    if not hasattr(database, "op_db"):
        raise OperationsMissingError(f"torch {torch.__version__} lacks op_db in its operator database")
    # It seeds random operators inside of the call and puts the generator back, which would hide that they draw.
    vars(database)["wrapper_set_seed"] = lambda function, *args, **kwargs: function(*args, **kwargs)
    return database


def _first_match(table: Sequence[tuple[str, str]], name: str) -> str | None:
    return next((told for pattern, told in table if re.search(pattern, name)), None)


def _dtypes(info: Any) -> Sequence[str]:
    """Every floating type if it takes float32 anywhere; else the integer types that it takes anywhere."""
    anywhere = set(info.dtypes)
    for name, value in vars(info).items():
        if name.startswith("dtypesIf") and value:  # one dictionary in newer torch, else an attribute for each device
            anywhere.update(*(filter(None, value.values()) if isinstance(value, dict) else [value]))
    return FLOAT_DTYPES if torch.float32 in anywhere else [n for n in ("int8", "uint8") if DTYPES[n] in anywhere]


@dataclass(frozen=True, kw_only=True)
class DatabaseOperation(Operation):
    """An operator of the database."""

    info: Any
    source: str = "database"

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        """The loosest that the database grants the operator in this type, for any of its tests on this device."""
        found = super().tolerance(dtype, device_type)
        for entry in self.info.decorators:
            devices = getattr(entry, "device_type", None)
            if devices is not None and device_type not in ([devices] if isinstance(devices, str) else devices):
                continue
            for override in getattr(entry, "decorators", [entry]):
                granted = getattr(override, "d", None)
                value: Any = granted.get(DTYPES[dtype]) if isinstance(granted, dict) else None
                if value is not None and hasattr(value, "atol"):
                    found = found.loosest(Tolerance(absolute=float(value.atol), relative=float(value.rtol)))
                elif isinstance(value, float):
                    found = found.loosest(Tolerance(absolute=value, relative=0.0))
        return found

    def samples(self, dtype: str) -> Iterator[Sample]:
        """The database's samples; where it has none in the type, those in float32, cast."""
        wanted = DTYPES[dtype]
        differentiate = bool(self.info.supports_autograd) and wanted.is_floating_point
        n_given = 0
        _seed()
        try:
            for given in self.info.sample_inputs("cpu", wanted, requires_grad=differentiate):
                n_given += 1
                yield self._sample(given)
        except Exception:
            if dtype not in {"fp16", "bf16"}:
                raise
            _seed()
            in_float32 = self.info.sample_inputs("cpu", torch.float32, requires_grad=differentiate)
            for given in itertools.islice(in_float32, n_given, None):
                yield self._sample(given).cast(wanted)

    def _sample(self, given: Any) -> Sample:
        args, kwargs = (given.input, *given.args), dict(given.kwargs)
        return Sample(function=self.info.op, args=args, kwargs=kwargs, process=given.output_process_fn_grad)


@functools.cache
def database_operations() -> tuple[DatabaseOperation, ...]:
    """Every operator of the database, in its order; variants have their name in brackets.

    Raises:
        OperationsMissingError: If this torch has no operator database where it is looked for.
    """
    found: dict[str, DatabaseOperation] = {}
    for info in _import_database().op_db:
        name = f"{info.name}[{info.variant_test_name}]" if info.variant_test_name else info.name
        of_class = _CLASS_FAMILIES.get(type(info).__name__, "shapes and others")
        operation = DatabaseOperation(
            name=name, info=info, family=_first_match(_FAMILIES, info.name) or of_class, dtypes=_dtypes(info),
            not_compared=_first_match(_NO_VALUES, name),
        )  # fmt: skip
        found.setdefault(name, operation)
    return tuple(found.values())
