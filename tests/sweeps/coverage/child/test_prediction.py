"""Predictions of real operations, models and workloads for an Apple GPU, none of which is here."""

from __future__ import annotations

import pytest
import torch

from sweeps.coverage.child.kernels import kernels_of
from sweeps.coverage.child.prediction import META, Watched, judged, predict_cell, predict_direction, predict_whole
from sweeps.store.operation_columns import OPERATIONS
from tests.sweeps.coverage.made import MadeOperation

SAID = f"predicted from torch {torch.__version__.split('+')[0]}"


def predicted(function, direction: str = "forward", *, can_fall_back: bool = True, **more) -> dict:
    operation = MadeOperation(function=function, **more)
    row = predict_direction(operation, "fp32", "mps", direction, max_samples=2, can_fall_back=can_fall_back)
    assert row is not None
    assert set(row) <= set(OPERATIONS.names)
    assert row["reason"].startswith(SAID)
    assert "not run" in row["reason"]
    assert row["evidence"] == "predicted"
    return row


def test_an_operation_whose_every_part_has_a_kernel_is_supported() -> None:
    row = predicted(lambda t: torch.relu(t) + 1)
    assert (row["verdict"], row["n_samples"], row["fallback_operations"]) == ("supported", 2, None)
    assert {"aten::relu", "aten::add.Tensor"} <= set(row["aten_operations"])
    assert predicted(torch.relu, "backward")["aten_operations"] != ["aten::relu"], "the gradient's are watched too"


def test_an_operation_with_a_part_that_is_missing_falls_back_or_is_unsupported_and_says_which() -> None:
    row = predicted(lambda t: torch.heaviside(t, t).relu())
    assert (row["verdict"], row["fallback_operations"]) == ("fallback", ["aten::heaviside"])
    assert row["reason"].endswith("not run: aten::heaviside: no kernel for MPS")
    assert predicted(lambda t: torch.heaviside(t, t), can_fall_back=False)["verdict"] == "unsupported"


def test_float64_on_the_device_is_unsupported_whatever_falls_back_and_on_the_host_it_is_no_matter() -> None:
    assert predicted(lambda t: t.double())["verdict"] == "unsupported"
    on_host = predicted(lambda t: t * torch.linspace(0, 1, 3, dtype=torch.float64).sum().item())
    assert on_host["verdict"] == "supported"
    assert "aten::linspace" not in on_host["aten_operations"]


def test_where_values_decide_the_cpu_stands_in() -> None:
    row = predicted(lambda t: t[t > 0].sum())
    assert row["verdict"] == "supported"
    assert "aten::nonzero" in row["aten_operations"] or "aten::index.Tensor" in row["aten_operations"]


def test_what_nothing_here_runs_is_unknown() -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no")

    row = predicted(refuse)
    assert (row["verdict"], row["n_samples"]) == ("unknown", 0)


def test_only_what_has_a_gradient_has_a_backward_row() -> None:
    operation = MadeOperation(function=torch.relu, requires_grad=False)
    assert predict_direction(operation, "fp32", "mps", "backward", max_samples=2, can_fall_back=True) is None


def test_nothing_is_said_of_types_in_half_precision() -> None:
    watched = Watched(META)
    watched.dtypes.add("float64")
    assert judged(watched, kernels_of("mps"), can_fall_back=True)["verdict"] == "unsupported"
    assert judged(watched, kernels_of("mps"), can_fall_back=True, dtype="fp16")["verdict"] == "supported"


def test_a_cell_of_the_database_is_predicted_in_both_directions() -> None:
    cell = {"source": "database", "operation": "take", "dtype": "fp32", "device": "mps"}
    rows = list(predict_cell(cell, None, max_samples=2, can_fall_back=True))
    assert [(row["direction"], row["verdict"]) for row in rows] == [("forward", "fallback"), ("backward", "fallback")]


@pytest.mark.parametrize(
    ("source", "operation", "told"),
    [
        ("models", "mobilenet_v3_small", [("forward", "supported"), ("backward", "supported")]),
        ("workloads", "image-processing pipeline=geometric", [("forward", "supported")]),
        ("workloads", "image-processing pipeline=decode", [("forward", "unsupported")]),
        ("models", "no_such_model", [("forward", "unknown"), ("backward", "unknown")]),
    ],
)
def test_whole_models_and_steps_are_predicted(source: str, operation: str, told: list[tuple[str, str]]) -> None:
    rows = predict_whole({"source": source, "operation": operation, "device": "mps"}, can_fall_back=True)
    assert [(row["direction"], row["verdict"]) for row in rows] == told
    assert all(SAID in row["reason"] and "meta" not in row["reason"] for row in rows)
