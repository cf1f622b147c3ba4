"""Differences against what is allowed, and what of a result is compared at all."""

from __future__ import annotations

import math

import pytest
import torch

from sweeps.coverage.child.differences import Difference, DifferentKindError, comparable, difference
from workloads.operations.base import Tolerance
from workloads.operations.modules import RecordedOperation

ALLOWED = Tolerance(absolute=0.01, relative=0.1)
EXACT = Tolerance(absolute=0.0, relative=0.0)


def test_the_worst_element_counts_against_absolute_plus_relative_tolerance() -> None:
    found = difference(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0]).double(), ALLOWED, dtype=torch.float32)
    assert found.absolute == pytest.approx(0.5)
    assert found.relative == pytest.approx(0.25)
    assert found.tolerance_ratio == pytest.approx(0.5 / (0.01 + 0.1 * 2))


def test_nan_equals_nan_and_infinity_itself() -> None:
    values = torch.tensor([math.nan, math.inf, -math.inf])
    assert difference(values, values.double(), ALLOWED, dtype=torch.float32).tolerance_ratio == 0


@pytest.mark.parametrize("ours", [math.nan, math.inf])
def test_only_one_side_being_finite_is_wrong_without_bound(ours: float) -> None:
    found = difference(torch.tensor([ours]), torch.tensor([1.0]).double(), ALLOWED, dtype=torch.float32)
    assert found.tolerance_ratio == math.inf
    assert found.rounding_units == math.inf


def test_overflow_of_the_results_own_type_is_no_difference() -> None:
    ours = torch.tensor([math.inf], dtype=torch.float16)
    assert difference(ours, torch.tensor([1e6]).double(), ALLOWED, dtype=torch.float16).tolerance_ratio == 0


def test_cancellation_counts_few_roundings_of_the_largest_value() -> None:
    ours = torch.tensor([100.0, 0.125], dtype=torch.bfloat16)
    found = difference(ours, torch.tensor([100.0, 0.0]).double(), ALLOWED, dtype=torch.bfloat16)
    assert found.tolerance_ratio > 1
    assert found.rounding_units < 1


def test_a_known_magnitude_on_the_way_counts_as_the_largest() -> None:
    ours = torch.tensor([2**-8], dtype=torch.bfloat16)
    right = torch.zeros(1, dtype=torch.float64)
    assert difference(ours, right, ALLOWED, dtype=torch.bfloat16, at_least=1.0).rounding_units == 1.0
    assert difference(ours, right, ALLOWED, dtype=torch.bfloat16).rounding_units == math.inf


def test_whole_numbers_must_be_equal_unless_levels_are_allowed() -> None:
    ours, right = torch.tensor([3, 4]), torch.tensor([3, 5])
    exactly = Tolerance(absolute=0.0, relative=0.0)
    assert difference(ours, right, exactly, dtype=torch.int8).tolerance_ratio == math.inf
    assert difference(ours, right, Tolerance(absolute=1.0, relative=0.0), dtype=torch.int8).tolerance_ratio == 1.0


def test_other_shapes_and_other_numbers_of_results_are_told() -> None:
    with pytest.raises(DifferentKindError, match=r"shape \(2,\) where the reference has \(3,\)"):
        difference(torch.zeros(2), torch.zeros(3), ALLOWED, dtype=torch.float32)
    with pytest.raises(DifferentKindError, match="1 tensors where the reference has 2"):
        difference(torch.zeros(2), (torch.zeros(2), torch.zeros(2)), ALLOWED, dtype=torch.float32)


def test_structures_sparse_and_complex_results_are_compared() -> None:
    ours = {"a": [torch.eye(3).to_sparse()], "b": torch.tensor([1 + 1j]), "c": 2.0, "d": "text"}
    right = {"a": [torch.eye(3).double()], "b": torch.tensor([1 + 3j]).to(torch.complex128), "c": 2.0, "d": "text"}
    found = difference(ours, right, ALLOWED, dtype=torch.float32)
    assert found.absolute == pytest.approx(2.0)


def ratio(name: str, ours: object, theirs: object) -> float | None:
    return difference(comparable(name, ours), comparable(name, theirs), EXACT, dtype=torch.float32).tolerance_ratio


@pytest.mark.parametrize("name", ["sort", "torch.Tensor.sort", "topk", "mode", "kthvalue"])
def test_the_order_of_equal_elements_is_left_to_the_device_but_not_their_values(name: str) -> None:
    values = torch.tensor([1.0, 2.0, 2.0])
    one, other = torch.tensor([0, 1, 2]), torch.tensor([0, 2, 1])
    assert ratio(name, (values, one), (values, other)) == 0
    assert ratio(name, (values, one), (values + 1, one)) > 1


def test_gradients_of_equal_elements_may_change_places_but_not_size() -> None:
    gradient = torch.tensor([0.5, 0.0, 1.0])
    assert ratio("topk", [gradient], [gradient.flip(0)]) == 0
    assert ratio("topk", [gradient], [gradient * 2]) > 1


def test_batch_norm_is_compared_by_its_output_alone() -> None:
    out = torch.ones(2)
    assert ratio("native_batch_norm", (out, torch.ones(1)), (out, torch.ones(0))) == 0
    assert ratio("native_batch_norm", (out, torch.ones(1)), (out * 2, torch.ones(1))) > 1


def test_positions_of_every_other_operation_are_compared() -> None:
    assert ratio("argmax", torch.tensor([1]), torch.tensor([2])) > 1


def test_recorded_boxes_are_boxes_of_the_first_image() -> None:
    call = {
        "args": {"tuple": [{"tensor": [1, 2, 8, 8], "dtype": "float32"}, {"tensor": [9, 5], "dtype": "float32"},
                           0.5, 2, 2, 2, False]},
        "kwargs": {"dict": {}},
    }  # fmt: skip
    [sample] = RecordedOperation(name="torch.ops.torchvision.roi_align", calls=[call]).samples("fp32")
    boxes = sample.args[1]
    assert (boxes[:, 0] == 0).all()
    assert (boxes[:, 3:] > boxes[:, 1:3]).all()
    assert torch.isfinite(sample.function(*sample.args)).all()


def test_nan_is_worse_than_any_number_on_either_side() -> None:
    unknown, one = Difference(tolerance_ratio=math.nan), Difference(tolerance_ratio=1.0, absolute=2.0)
    for worst in (unknown.worst(one), one.worst(unknown)):
        assert math.isnan(worst.tolerance_ratio)
        assert worst.absolute == 2.0
