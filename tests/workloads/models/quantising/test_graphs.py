"""A convolutional network on the CPU runs in int8, seen as dispatched, and answers about as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import count_step
from tests.workloads.conftest import prepared
from workloads.base import UnsupportedError
from workloads.models.quantising import graphs, network
from workloads.models.quantising.graphs import lowered
from workloads.runtime.torch_private import watching_graphs


def small() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
        ).eval()  # fmt: skip


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 20, 20, generator=torch.Generator().manual_seed(n))


def test_products_run_in_int8_and_the_answer_is_near() -> None:
    pytest.importorskip("torchao")
    module, batch = small(), images(2)
    with torch.inference_mode():
        exact = module(batch)
    made, _ = lowered(module, batch, images)
    products = ProductTypes()
    with torch.inference_mode():
        off = float((made(batch) - exact).abs().max() / exact.abs().max())
        with products:
            flops, _ = count_step(lambda: made(batch))
    assert 0 < off < 0.2
    assert products.types[0] == "int8"
    assert (products.share("int8") or 0) > 0.9
    assert flops == pytest.approx(2 * 2 * (18 * 18 * 16 * 27 + 16 * 16 * 32 * 144 + 128 * 10))


class Residual(nn.Module):
    """A sum after a convolution, which torch.compile fuses with it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).relu()
        scores: torch.Tensor = self.head((x + self.second(x)).relu().mean((2, 3)))
        return scores


@pytest.mark.parametrize("made", [small, lambda: Residual().eval()], ids=["in a row", "residual"])
def test_what_is_compiled_shows_that_it_runs_in_int8(made: Callable[[], nn.Module]) -> None:
    pytest.importorskip("torchao")
    batch = images(2)
    graph, whole = lowered(made(), batch, images)
    products = ProductTypes()
    with torch.inference_mode(), watching_graphs(products.look_at):
        torch.testing.assert_close(graphs.compiled(whole, "default")(batch), graph(batch), rtol=0.1, atol=0.05)
    assert products.types[0] == "int8"
    assert (products.share("int8") or 0) > 0.9


def test_a_network_without_convolutions_is_not_taken_for_one() -> None:
    assert network.is_convolutional(small(), images(1))
    assert not network.is_convolutional(nn.Sequential(nn.Flatten(), nn.Linear(1200, 16)), images(1))


def test_another_processor_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs.platform, "machine", lambda: "arm64")
    with pytest.raises(UnsupportedError, match="x86 processors alone, this is arm64"):
        lowered(small(), images(1), images)


NET = """
from dataclasses import dataclass
import torch
from torch import nn

@dataclass
class Output:
    logits: torch.Tensor
    features: tuple

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 16, 3), nn.Linear(16, 5)

    def forward(self, x):
        features = self.body(x.mul_(0.5)).relu().mean((2, 3))
        return Output(logits=self.head(features), features=(features,))
"""


def test_a_users_network_that_answers_with_a_dataclass_is_quantised(tmp_path: Path) -> None:
    pytest.importorskip("torchao")
    (tmp_path / "net.py").write_text(NET)
    workload = prepared("inference", model=f"{tmp_path}/net.py:Net", precision="int8", input=["3x32x32"])
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert list(outputs) == list(reference) == ["logits", "features.0"]
    for name, output in outputs.items():
        torch.testing.assert_close(output, reference[name].float(), atol=0.05, rtol=0.05)
