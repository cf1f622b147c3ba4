"""torchvision's other networks: one of each family answers, and agrees with itself, at a small size."""

from __future__ import annotations

import pytest
import torch

from tests.workloads.conftest import prepared
from workloads.base import BadInputError, UnsupportedError
from workloads.models import randomised
from workloads.models.checks.preflight import check_trainable
from workloads.models.origins.zoo import names
from workloads.models.sources import check_model

FAMILIES = {
    "lraspp_mobilenet_v3_large": "3x64x64", "ssdlite320_mobilenet_v3_large": "3x64x64",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "3x64x64", "r3d_18": "3x4x32x32", "quantized_shufflenet_v2_x0_5": "3x64x64",
}  # fmt: skip
"""The smallest of the families; tests/benchmarks/operations/zoo_inference.py runs all of the zoo."""


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_answers_and_agrees_with_its_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomised, "N_IMAGES", 3)  # of 16, each of which a detector scales to 320 pixels
    workload = prepared("inference", model=name, batch_size=2, n_compared=2, input=[FAMILIES[name]])
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    outputs, reference = ({"": each} if isinstance(each, torch.Tensor) else each for each in (outputs, reference))
    assert outputs
    for output, expected in ((outputs[key], reference[key]) for key in outputs):
        assert output.shape == expected.shape
        assert (output - expected).abs().max() <= 2e-3 * expected.abs().max()
    workload.step()
    assert workload.host_batch().shape[0] == 2  # type: ignore[attr-defined]
    workload.teardown()


def test_the_names_are_those_of_all_kinds_and_none_is_a_classifier_to_train() -> None:
    assert {"fcn_resnet50", "maskrcnn_resnet50_fpn", "swin3d_t", "raft_small", "quantized_resnet18"} <= set(names())
    assert not check_model("raft_small").is_classifier
    with pytest.raises(BadInputError, match="'fcn_resnet50' cannot be trained here: it does not tell classes"):
        check_trainable("fcn_resnet50", 64, 10)


def test_what_is_quantised_is_measured_as_that_alone() -> None:
    with pytest.raises(
        UnsupportedError, match="quantized_mobilenet_v2 computes in 8 bits on the CPU: ask for cpu, fp32"
    ):
        prepared("inference", model="quantized_mobilenet_v2", precision="bf16")


def test_raft_takes_two_images_of_which_one_is_shifted() -> None:
    torch.manual_seed(0)
    workload = prepared("inference", model="raft_small", batch_size=1, n_compared=1, input=["3x128x128", "3x128x128"])
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert len(outputs) == 12, "each iteration's flow"
    assert all(torch.isfinite(output).all() for output in reference.values())
