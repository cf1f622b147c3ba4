"""Inference through another runtime: the workload's protocol, its facts, and what is PyTorch's alone."""

from __future__ import annotations

from pathlib import Path

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


OWN = """
import torch

class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.seen, self.read = torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.Embedding(100, 8)
        self.head = torch.nn.Linear(8, 5)

    def forward(self, image, ids):
        features = self.seen(image).mean((2, 3)) + self.read(ids).mean(1)
        return {"logits": self.head(features), "features": features}

def build():
    return Two().eval()
"""


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_users_own_network_with_several_inputs_and_outputs_goes_through_it(runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    (tmp_path / "own.py").write_text(OWN)
    kind = load_workload("inference")
    context = CellContext(
        device=torch.device("cpu"), batch_size=2, model=f"{tmp_path / 'own.py'}:build", n_compared=3,
        options=kind.Options(runtime=(runtime,), input=["3x32x32", "ids:int64:7<100"]),
    )  # fmt: skip
    workload = kind(context)
    workload.setup()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"logits": (3, 5), "features": (3, 8)}
    for name, output in outputs.items():
        torch.testing.assert_close(output, reference[name].float(), rtol=1e-4, atol=1e-4)
