"""Inference through another runtime: the workload's protocol, its facts, and what is PyTorch's alone."""

from __future__ import annotations

import pytest
import torch

from workloads.base import CellContext, Extras
from workloads.models.runtimes.elsewhere import RuntimeFacts
from workloads.registry import load_workload


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_inference_goes_through_it_as_through_pytorch(runtime: str) -> None:
    pytest.importorskip(runtime)
    kind = load_workload("inference")
    context = CellContext(
        device=torch.device("cpu"), batch_size=2, model="efficientnet_lite0", n_compared=3,
        options=kind.Options(runtime=(runtime,)),
    )  # fmt: skip
    workload = kind(context)
    facts = workload.setup()
    assert isinstance(facts, RuntimeFacts)
    assert facts.weights == "imagenet"
    assert facts.runtime_version.startswith(f"{runtime} ")
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert outputs.shape == reference.shape == (3, 1000), "three items in batches of two"
    torch.testing.assert_close(outputs, reference.float(), rtol=1e-3, atol=1e-3)
    extras = Extras.of(workload)
    assert (extras.product_types, extras.step_varying) == (("float32",), None)
    workload.plain_step()  # type: ignore[attr-defined]
    assert workload.host_batch().shape == (2, 3, 224, 224)  # type: ignore[attr-defined]
    workload.teardown()
