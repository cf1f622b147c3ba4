"""A convolutional network on the CPU runs in int8, seen as dispatched, and answers about as before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import count_step
from workloads.base import UnsupportedError
from workloads.models.quantising import graphs, network
from workloads.models.quantising.graphs import lowered
from workloads.runtime.torch_private import watching_graphs


def small() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
        ).eval()  # fmt: skip


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 20, 20, generator=torch.Generator().manual_seed(n))


def test_products_run_in_int8_and_the_answer_is_near() -> None:
    pytest.importorskip("torchao")
    module, batch = small(), images(2)
    with torch.inference_mode():
        exact = module(batch)
    made = lowered(module, batch, images)
    products = ProductTypes()
    with torch.inference_mode():
        off = float((made(batch) - exact).abs().max() / exact.abs().max())
        with products:
            flops, _ = count_step(lambda: made(batch))
    assert 0 < off < 0.2
    assert products.types[0] == "int8"
    assert (products.share("int8") or 0) > 0.9
    assert flops == pytest.approx(2 * 2 * (18 * 18 * 16 * 27 + 16 * 16 * 32 * 144 + 32 * 10))


def test_what_is_compiled_shows_that_it_runs_in_int8() -> None:
    pytest.importorskip("torchao")
    module, batch = small(), images(2)
    made, products = lowered(module, batch, images), ProductTypes()
    with torch.inference_mode(), watching_graphs(products.look_at):
        torch.testing.assert_close(graphs.compiled(made, "default")(batch), made(batch), rtol=0.1, atol=0.05)
    assert products.types[0] == "int8"
    assert (products.share("int8") or 0) > 0.9


def test_a_network_without_convolutions_is_not_taken_for_one() -> None:
    assert network.is_convolutional(small(), images(1))
    assert not network.is_convolutional(nn.Sequential(nn.Flatten(), nn.Linear(1200, 16)), images(1))


def test_another_processor_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs.platform, "machine", lambda: "arm64")
    with pytest.raises(UnsupportedError, match="x86 processors alone, this is arm64"):
        lowered(small(), images(1), images)
