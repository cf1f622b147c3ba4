"""Verdicts of operations that work, raise, are wrong, draw random numbers, or fall back."""

from __future__ import annotations

import warnings

import pytest
import torch

from sweeps.coverage.child.verdicts import run_direction
from tests.sweeps.coverage.made import MadeOperation

CPU = torch.device("cpu")


def run(operation: MadeOperation, dtype: str = "fp32", direction: str = "forward") -> dict[str, object]:
    row = run_direction(operation, dtype, CPU, direction, max_samples=8)
    assert row is not None
    return row


def only_in_float64(right: object, wrong: object) -> object:
    return lambda x: right(x) if x.dtype == torch.float64 else wrong(x)  # type: ignore[operator]


def test_what_agrees_with_float64_is_supported_and_says_what_it_dispatches() -> None:
    row = run(MadeOperation(function=torch.relu))
    assert row["verdict"] == "supported"
    assert (row["n_samples"], row["n_compared"], row["n_wrong"]) == (2, 2, 0)
    assert row["aten_operations"] == ["aten::relu"]
    assert row["reference"] == "cpu fp64"


def test_a_backward_pass_is_run_and_dispatches_its_own_operations() -> None:
    row = run(MadeOperation(function=torch.sigmoid), direction="backward")
    assert row["verdict"] == "supported"
    assert "aten::sigmoid_backward" in row["aten_operations"]


def test_no_backward_row_where_nothing_is_differentiable() -> None:
    operation = MadeOperation(function=lambda x: x.argmax(0))
    assert run_direction(operation, "fp32", CPU, "backward", max_samples=8) is None
    constant = MadeOperation(function=torch.relu, requires_grad=False)
    assert run_direction(constant, "fp32", CPU, "backward", max_samples=8) is None


def test_an_exception_is_unsupported_with_its_text() -> None:
    row = run(MadeOperation(function=lambda x: torch.linalg.svdvals(x.relu() + 1)), "fp16")
    assert row["verdict"] == "unsupported"
    assert "not implemented for 'Half'" in str(row["reason"])
    assert row["error_type"] == "NotImplementedError"


def test_some_samples_failing_is_told_as_a_share() -> None:
    def fails_on_five(x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] == 5 and x.dtype != torch.float64:
            raise NotImplementedError("no kernel for five columns")
        return x + 1

    row = run(MadeOperation(function=fails_on_five))
    assert row["verdict"] == "unsupported"
    assert row["reason"] == "1 of 2 samples: no kernel for five columns"


def test_wrong_values_are_wrong_with_the_worst_difference() -> None:
    row = run(MadeOperation(function=only_in_float64(torch.sin, torch.cos)))
    assert (row["verdict"], row["wrong_by"], row["n_wrong"]) == ("wrong", "values", 2)
    assert row["max_abs_diff"] > 0.5
    assert "2 of 2 samples; off by" in str(row["reason"])


def test_another_shape_is_wrong() -> None:
    row = run(MadeOperation(function=only_in_float64(lambda x: x, lambda x: x[:1])))
    assert row["verdict"] == "wrong"
    assert "where the reference has" in str(row["reason"])


def test_what_rounding_explains_is_told_apart() -> None:
    operation = MadeOperation(function=lambda x: (x + 100) - 100, shapes=((8, 8),))
    row = run(operation, "fp16")
    assert (row["verdict"], row["wrong_by"]) == ("wrong", "values")
    milder = MadeOperation(function=lambda x: torch.stack([(x + 100) - 100, x + 100]), shapes=((8, 8),))
    row = run(milder, "fp16")
    assert (row["verdict"], row["wrong_by"]) == ("wrong", "rounding")
    assert row["rounding_units"] <= 16


def test_random_results_are_not_compared() -> None:
    row = run(MadeOperation(function=torch.rand_like))
    assert (row["verdict"], row["not_compared"], row.get("max_abs_diff")) == ("supported", "random", None)


def test_a_sample_that_the_reference_refuses_as_well_is_left_out() -> None:
    def refuses_five(x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] == 5:
            raise ValueError("five columns are no input")
        return x.exp()

    row = run(MadeOperation(function=refuses_five))
    assert (row["verdict"], row["n_samples"], row["n_invalid"]) == ("supported", 1, 1)


def test_the_warning_of_apple_gpus_that_an_operation_fell_back_is_a_verdict() -> None:
    text = ("The operator 'aten::foo.out' is not currently supported on the MPS backend and will fall back to run on"
            " the CPU. This may have performance implications.")  # fmt: skip

    def falls_back(x: torch.Tensor) -> torch.Tensor:
        warnings.warn(text, UserWarning, stacklevel=1)
        return x + 1

    row = run(MadeOperation(function=falls_back))
    assert row["verdict"] == "fallback"
    assert row["fallback_operations"] == ["aten::foo.out"]
    assert row["n_fallback"] == 2


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_inputs_that_a_call_writes_into_do_not_spoil_the_next(dtype: str) -> None:
    operation = MadeOperation(function=lambda x: x.detach().mul_(2), requires_grad=False)
    assert run(operation, dtype)["verdict"] == "supported"
    assert run(operation, dtype)["verdict"] == "supported"


def test_without_a_sample_nothing_is_called_supported() -> None:
    row = run(MadeOperation(function=torch.relu, shapes=()))
    assert row["verdict"] == "unsupported"
    assert "no sample" in str(row["reason"])
