"""Recording a small model of the zoo and running what was recorded."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from workloads.operations.base import OperationsMissingError
from workloads.operations.encoding import decode, encode, n_elements
from workloads.operations.modules import RecordedOperation, recorded_operations
from workloads.operations.zoo import MAX_CALLS, constructor_arguments, record_zoo


@pytest.fixture(scope="module")
def operations() -> dict[str, RecordedOperation]:
    recording, failed = record_zoo(["mobilenet_v3_small"])
    assert failed == {}
    return {o.name: o for o in recorded_operations(json.loads(json.dumps(recording)))}


def test_functions_and_modules_of_the_model_are_recorded(operations: dict[str, RecordedOperation]) -> None:
    assert {"torch.nn.Conv2d", "torch.nn.BatchNorm2d", "torch.nn.functional.hardswish", "torch.flatten"} <= set(
        operations
    )
    assert all(1 <= len(o.calls) <= MAX_CALLS for o in operations.values())
    assert not any(".size" in name or "__get__" in name for name in operations)


def test_every_recorded_call_runs_again(operations: dict[str, RecordedOperation]) -> None:
    for operation in operations.values():
        for sample in operation.samples("fp32"):
            assert sample.function(*sample.args, **sample.kwargs) is not None


def test_a_call_in_place_can_be_differentiated(operations: dict[str, RecordedOperation]) -> None:
    names = {o.name for o in operations.values() for s in o.samples("fp32") if "_on_copy" in str(s.function)}
    assert "torch.nn.functional.hardswish" in names
    for sample in operations["torch.nn.Hardswish"].samples("fp32"):
        sample.function(*sample.args, **sample.kwargs).sum().backward()
        assert sample.args[0].grad is not None


def test_a_module_depends_on_the_parameters_it_is_given(operations: dict[str, RecordedOperation]) -> None:
    sample = next(operations["torch.nn.Conv2d"].samples("fp32"))
    before = sample.function(*sample.args, **sample.kwargs)
    zeroed = {name: torch.zeros_like(t) for name, t in sample.kwargs["module_state"].items()}
    after = sample.function(*sample.args, module_state=zeroed)
    assert before.abs().max() > 0
    assert after.abs().max() == 0


def test_a_model_that_cannot_be_built_is_named_and_hides_no_other() -> None:
    recording, failed = record_zoo(["no_such_model", "alexnet"])
    assert list(failed) == ["no_such_model"]
    assert "torch.nn.MaxPool2d" in recording


def test_a_module_is_made_again_from_its_own_attributes() -> None:
    for module in (nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.LayerNorm(16, eps=1e-3), nn.Linear(4, 5)):
        arguments = constructor_arguments(module)
        assert arguments is not None
        assert repr(type(module)(**arguments)) == repr(module)


def test_a_module_whose_arguments_cannot_be_read_is_left_out() -> None:
    class Secret(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self._hidden = width

    assert constructor_arguments(Secret(3)) is None


def test_arguments_survive_json() -> None:
    given = (torch.zeros(2, 3), [1, 2.5, None], slice(1, None, 2), Ellipsis, torch.float16, {"dim": -1},
             torch.tensor([-3, 7]), torch.channels_last)  # fmt: skip
    spec = json.loads(json.dumps(encode(given)))
    made = decode(spec, torch.bfloat16, torch.Generator().manual_seed(0))
    assert made[0].shape == (2, 3)
    assert made[0].dtype == torch.bfloat16
    assert made[1:6] == ([1, 2.5, None], slice(1, None, 2), Ellipsis, torch.float16, {"dim": -1})
    assert made[6].dtype == torch.int64
    assert -3 <= int(made[6].min()) <= int(made[6].max()) <= 7
    assert made[7] == torch.channels_last
    assert n_elements(spec) == 8


def test_a_function_that_writes_is_run_on_a_copy() -> None:
    operation = RecordedOperation(
        name="torch.Tensor.zero_", calls=[{"args": encode((torch.ones(3),)), "kwargs": {"dict": {}}}]
    )
    sample = next(operation.samples("fp32"))
    assert torch.equal(sample.function(*sample.args), torch.zeros(3))
    assert sample.args[0].abs().sum() > 0


def test_a_recording_of_what_this_torch_lacks_is_told_by_name() -> None:
    operation = RecordedOperation(name="torch.nn.NoSuch", calls=[{"args": [], "kwargs": {"dict": {}}}])
    with pytest.raises(OperationsMissingError, match=r"lacks torch\.nn\.NoSuch"):
        next(operation.samples("fp32"))
