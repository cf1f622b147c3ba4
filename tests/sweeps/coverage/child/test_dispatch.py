"""What small modules dispatch, each call replayed, an operation that is wrong found by it, and whole models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sweeps.coverage.child import dispatch
from sweeps.coverage.child.calls import FORWARD
from sweeps.coverage.child.differences import comparable
from sweeps.coverage.child.dispatch import (
    MAX_CALLS,
    DispatchedOperation,
    DispatchRecorder,
    answer_request,
)
from sweeps.coverage.child.verdicts import run_direction
from sweeps.coverage.child.whole_model import MODEL_TOLERANCE
from workloads.operations.base import Sample

CPU = torch.device("cpu")


def recorded(function: Any, *arguments: Any) -> DispatchRecorder:
    recorder = DispatchRecorder()
    with torch.no_grad(), recorder:
        function(*arguments)
    return recorder


def called(recorder: DispatchRecorder) -> dict[str, int]:
    return {str(function.name()): n for function, n in recorder.counts.items()}


class Small(nn.Module):
    """A network of one input with eight numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class OffInSingle(Small):
    """Its answer is another one in float64 than in every narrower type."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (1.0 if x.dtype == torch.float64 else 0.0)


class WiderInSingle(Small):
    """It has more results in float32 than in float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = super().forward(x)
        return out if x.dtype == torch.float64 else torch.cat([out, out])


class Refuses(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.bfloat16:
            raise NotImplementedError("no kernel for so narrow a type")
        return super().forward(x)


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four small networks in the place of torchvision's, by the names of their classes."""
    kinds = {kind.__name__: kind for kind in (Small, OffInSingle, WiderInSingle, Refuses)}
    monkeypatch.setattr(dispatch, "build_untrained", lambda name: kinds[name]().eval())
    monkeypatch.setattr(dispatch, "model_inputs", lambda name, side: (torch.ones(3, 8),))
    dispatch.record_dispatch.cache_clear()


def answers(ask: str, model: str = "Small", **more: Any) -> dict[str, Any]:
    sent: list[dict[str, Any]] = []
    request = {
        "ask": ask,
        "model": model,
        "train": False,
        "side": None,
        "n_threads": 1,
        "device": "cpu",
        "dtype": "fp32",
        **more,
    }
    answer_request(request, sent.append)
    (answer,) = sent
    return answer


def test_every_operation_of_a_module_is_counted_and_views_and_reads_are_none() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    counts = called(recorded(lambda x: (module(x), module(x).detach().sum().item()), torch.ones(1, 1, 4, 4)))
    assert counts["aten::convolution"] == counts["aten::relu"] == counts["aten::addmm"] == 2
    assert counts["aten::sum"] == 1
    assert not {"aten::detach", "aten::_local_scalar_dense", "aten::item"} & set(counts)


def test_different_shapes_are_kept_once_each_and_at_most_six() -> None:
    recorder = recorded(lambda: [torch.relu(torch.ones(n)) for n in (1, 2, 2, 3, 4, 5, 6, 7, 8)])
    (relu,) = (function for function in recorder.calls if function.name() == "aten::relu")
    kept = [call.args[0].shape[0] for call in recorder.calls[relu].values()]
    assert kept == [1, 2, 3, 4, 5, 6]
    assert len(kept) == MAX_CALLS
    assert recorder.counts[relu] == 9


def test_arguments_are_kept_as_they_were_before_the_call_wrote_into_them() -> None:
    recorder = recorded(lambda x: x.mul_(5), torch.full((2,), 3.0))
    (calls,) = (calls for function, calls in recorder.calls.items() if function.name() == "aten::mul_.Tensor")
    (call,) = calls.values()
    assert call.args[0].tolist() == [3.0, 3.0]


def test_calls_are_replayed_in_another_type_the_smallest_first() -> None:
    kwargs = {"dtype": torch.float32}
    calls = [Sample(function=torch.sum, args=(torch.ones(n), torch.arange(n)), kwargs=kwargs) for n in (4, 2)]
    operation = DispatchedOperation(name="made", calls=calls)
    first, second = operation.samples("fp16")
    assert [sample.args[0].shape for sample in (first, second)] == [(2,), (4,)]
    assert first.args[0].dtype == torch.float16
    assert first.args[1].dtype == torch.int64, "whole numbers stay whole"
    assert first.kwargs == {"dtype": torch.float16}
    assert calls[0].args[0].dtype == torch.float32


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_replayed_operation_that_is_right_is_supported(dtype: str) -> None:
    recorder = recorded(Small(), torch.rand(3, 8))
    for function, calls in recorder.calls.items():
        operation = DispatchedOperation(name=str(function), calls=list(calls.values()))
        row = run_direction(operation, dtype, CPU, FORWARD, max_samples=MAX_CALLS)
        assert row is not None
        assert (row["verdict"], row["n_wrong"]) == ("supported", 0), function
        assert row["n_samples"] == len(calls)


def test_a_replayed_operation_that_is_wrong_is_found() -> None:
    def sine(x: torch.Tensor) -> torch.Tensor:
        return x.sin() if x.dtype == torch.float64 else x.cos()

    operation = DispatchedOperation(name="sine", calls=[Sample(function=sine, args=(torch.zeros(5),))])
    row = run_direction(operation, "fp32", CPU, FORWARD, max_samples=MAX_CALLS)
    assert row is not None
    assert (row["verdict"], row["wrong_by"], row["n_wrong"], row["max_abs_diff"]) == ("wrong", "values", 1, 1.0)


@pytest.mark.usefixtures("zoo")
def test_a_model_is_recorded_and_one_of_its_operations_replayed() -> None:
    answer = answers("record")
    assert answer["event"] == "recorded"
    assert {name: n for name, n in answer["operations"].items() if "addmm" in name or "relu" in name} == {
        "aten.addmm.default": 2, "aten.relu.default": 1,
    }  # fmt: skip
    row = answers("replay", operation="aten.addmm.default")["row"]
    assert (row["verdict"], row["n_samples"], row["aten_operations"]) == ("supported", 2, ["aten::addmm"])
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("zoo")
def test_a_training_dispatches_its_backward_pass_too() -> None:
    forward, both = answers("record")["operations"], answers("record", train=True)["operations"]
    assert "aten.threshold_backward.default" in both
    assert "aten.threshold_backward.default" not in forward


@pytest.mark.usefixtures("zoo")
def test_a_whole_model_runs_and_agrees_with_the_cpu_in_float64() -> None:
    answer = answers("whole")
    assert (answer["event"], answer["runs"], answer["agrees"]) == ("whole", True, True)
    assert 0 <= answer["max_rel_diff"] <= MODEL_TOLERANCE["fp32"]
    assert answer["reference"] == "fp64"
    assert answer["first_run_s"] > 0


@pytest.mark.usefixtures("zoo")
def test_a_whole_model_whose_answer_is_another_one_runs_and_does_not_agree() -> None:
    answer = answers("whole", "OffInSingle")
    assert (answer["runs"], answer["agrees"]) == (True, False)
    assert answer["max_rel_diff"] > 0.1
    other_shape = answers("whole", "WiderInSingle")
    assert (other_shape["runs"], other_shape["agrees"], other_shape["max_rel_diff"]) == (True, None, None)


@pytest.mark.usefixtures("zoo")
def test_a_whole_model_that_the_device_refuses_does_not_run_and_says_why() -> None:
    answer = answers("whole", "Refuses", dtype="bf16")
    assert answer == {
        "event": "whole", "runs": False, "reason": "NotImplementedError: no kernel for so narrow a type",
    }  # fmt: skip


@pytest.mark.parametrize("made", [torch.empty, lambda n: torch.empty_like(torch.ones(n)), torch.ones(1).new_empty])
def test_memory_that_holds_anything_is_compared_with_nothing(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + made(2).zero_()

    monkeypatch.setattr(dispatch, "build_untrained", lambda name: Empty().eval())
    monkeypatch.setattr(dispatch, "model_inputs", lambda name, side: (torch.ones(3, 8),))
    dispatch.record_dispatch.cache_clear()
    (name,) = (name for name in answers("record")["operations"] if "empty" in name)
    row = answers("replay", operation=name)["row"]
    assert (row["verdict"], row["n_samples"], row["not_compared"]) == ("supported", 1, "its memory is uninitialised")


def test_of_equal_elements_either_may_come_first() -> None:
    ties = torch.zeros(2000)
    for name, function in (("aten.topk.default", lambda x: x.topk(3)), ("aten.sort.stable", lambda x: x.sort())):
        values, positions = comparable(name, function(ties)), function(ties)[1]
        assert len(values) == 1
        assert values[0].shape == positions.shape
