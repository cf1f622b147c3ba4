"""PyTorch's operator database, the real one."""

from __future__ import annotations

import sys

import pytest
import torch

from workloads.operations import database
from workloads.operations.base import FLOAT_DTYPES, OperationsMissingError, Tolerance
from workloads.operations.database import DatabaseOperation, database_operations


def named(name: str) -> DatabaseOperation:
    return next(o for o in database_operations() if o.name == name)


def test_the_whole_database_is_there_under_unique_names() -> None:
    names = [o.name for o in database_operations()]
    assert len(names) > 500
    assert len(set(names)) == len(names)
    compiler = sys.modules.get("torch._inductor")
    assert compiler is None or compiler.__spec__ is not None, "what stood in its place while importing is gone"


def test_samples_are_the_same_every_time() -> None:
    first, again = (list(named("nn.functional.conv2d").samples("fp16")) for _ in range(2))
    assert len(first) == len(again) > 5
    assert all(torch.equal(a.args[0], b.args[0]) for a, b in zip(first, again, strict=True))
    assert all(sample.args[0].dtype == torch.float16 for sample in first)


def test_samples_of_an_operator_that_needs_itself_to_make_them_are_cast_from_float32() -> None:
    samples = list(named("linalg.slogdet").samples("fp16"))
    assert len(samples) == len(list(named("linalg.slogdet").samples("fp32"))) > 0
    assert {s.args[0].dtype for s in samples} == {torch.float16}


def test_an_operator_that_takes_float32_is_run_in_every_floating_type() -> None:
    assert tuple(named("svd").dtypes) == FLOAT_DTYPES
    assert tuple(named("bitwise_and").dtypes) == ("int8", "uint8")


def test_the_tolerance_is_the_loosest_that_the_database_grants() -> None:
    assert named("abs").tolerance("fp32", "cpu") == Tolerance(absolute=1e-3, relative=1e-3)
    granted = named("nn.functional.conv2d").tolerance("fp16", "cpu")
    assert granted.absolute > 1e-3


def test_uninitialised_memory_is_not_compared() -> None:
    assert named("empty_like").not_compared is not None
    assert named("zeros_like").not_compared is None


def test_a_torch_without_the_database_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.testing._internal.common_methods_invocations", None)
    monkeypatch.delattr(torch.testing._internal, "common_methods_invocations", raising=False)
    with pytest.raises(OperationsMissingError, match=r"torch .* lacks the operator database"):
        database._import_database()


def test_reading_the_database_leaves_the_process_free_to_set_precisions() -> None:
    database._import_database()
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = not before
    torch.backends.cudnn.allow_tf32 = before
