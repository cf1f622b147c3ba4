from __future__ import annotations

import pytest
import torch

from sweeps.coverage.child.differences import comparable, difference
from workloads.operations.base import Tolerance
from workloads.operations.modules import RecordedOperation

EXACT = Tolerance(absolute=0.0, relative=0.0)


def ratio(name, ours, theirs):
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
