"""torchvision's own kernels, each called for real."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torchvision.transforms.v2 import functional

from workloads.operations.base import DTYPES
from workloads.operations.transforms import _NO_TENSOR_WORK, TransformOperation, _kind_of, transform_operations


def named(name: str) -> TransformOperation:
    return next(o for o in transform_operations() if o.name == name)


def test_every_kernel_of_this_torchvision_has_arguments() -> None:
    known = {operation.name for operation in transform_operations()}
    kernels = {n for n in vars(functional) if _kind_of(n) is not None and not n.startswith(_NO_TENSOR_WORK)}
    assert kernels == known
    assert len(transform_operations()) >= 90


@pytest.mark.parametrize("operation", transform_operations(), ids=lambda o: o.name)
def test_every_kernel_accepts_a_sample_in_a_type_it_is_run_in(operation: TransformOperation) -> None:
    dtype = operation.dtypes[0]
    n_run = 0
    for sample in operation.samples(dtype):
        assert sample.args[0].dtype == DTYPES[dtype]
        # Boxes and points know fewer ways of padding than images.
        with contextlib.suppress(ValueError) if operation.stem == "pad" else contextlib.nullcontext():
            sample.function(*[a.detach() for a in sample.args], **sample.kwargs)
            n_run += 1
    assert n_run


def test_whole_levels_have_the_kernel_on_fractions_as_reference() -> None:
    sample = next(named("adjust_brightness_image").samples("uint8"))
    assert sample.reference is not None
    right = sample.reference(*sample.args, **sample.kwargs)
    assert right.dtype == torch.float64
    assert torch.equal(right, right.round())
    assert float((sample.function(*sample.args, **sample.kwargs).double() - right).abs().max()) <= 1


def test_pixel_values_among_the_arguments_are_in_the_levels_of_the_type() -> None:
    assert next(named("solarize_image").samples("uint8")).kwargs["threshold"] == 128
    assert next(named("solarize_image").samples("fp32")).kwargs["threshold"] == 0.5
