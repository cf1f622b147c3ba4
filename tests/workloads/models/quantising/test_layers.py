"""Linear layers hold 8-bit weights afterwards, attention's among them, and what has none is told so."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import count_step
from tests.workloads.conftest import prepared
from workloads.base import UnsupportedError
from workloads.models.loading import static_bytes
from workloads.models.quantising.layers import SelfAttention, few_rows, is_fit, open_attention, quantise_layers, work_of

TOKENS = torch.rand(2, 7, 64, generator=torch.Generator().manual_seed(1))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.last = nn.Linear(64, 10)  # which no 8-bit kernel takes

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.last(mixed)


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Attending().eval()


def test_attention_whose_projections_are_layers_answers_as_torchs_own(network: nn.Module) -> None:
    opened = copy.deepcopy(network)
    open_attention(opened)
    assert isinstance(opened.attention, SelfAttention)
    with torch.no_grad():
        torch.testing.assert_close(opened(TOKENS), network(TOKENS))
    with pytest.raises(UnsupportedError, match="without a mask"):
        opened.attention(TOKENS, TOKENS.clone(), TOKENS)


def test_torchs_own_encoder_is_quantised_with_its_attention() -> None:
    pytest.importorskip("torchao")
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    with torch.inference_mode():
        exact = encoder(TOKENS)
        assert quantise_layers(encoder, TOKENS, "int8-weight") == 2 * 14 * 2 * (4 * 64 * 64 + 2 * 64 * 128)
        torch.testing.assert_close(encoder(TOKENS), exact, atol=0.05, rtol=0.05)


def test_work_is_that_of_the_layers_chosen(network: nn.Module) -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 16)).eval()
    images = torch.rand(2, 3, 8, 8)
    linear, of_all = work_of(layers, images, is_fit)
    convolution, _ = work_of(layers, images, lambda layer: isinstance(layer, nn.Conv2d))
    assert linear == 2 * 2 * 4 * 36 * 16
    assert linear + convolution == of_all


@pytest.mark.parametrize(("precision", "seen"), [("int8", "int8"), ("int8-weight", "float32")])
def test_layers_are_quantised_and_that_is_seen_where_they_run(network: nn.Module, precision: str, seen: str) -> None:
    pytest.importorskip("torchao")
    with torch.inference_mode():
        exact = network(TOKENS)
    before = static_bytes(network)
    flops = quantise_layers(network, TOKENS, precision)
    assert flops == 2 * 2 * 7 * 64 * 64 * 4
    assert static_bytes(network) < 0.4 * before
    products = ProductTypes()
    with torch.inference_mode():
        off = float((network(TOKENS) - exact).abs().max() / exact.abs().max())
        with products:
            count_step(lambda: network(TOKENS))
    assert 0 < off < 0.1
    assert products.types[0] == seen


def test_layers_that_see_few_rows_are_known() -> None:
    layers = nn.Sequential(nn.Linear(16, 16), nn.Flatten(), nn.Linear(17 * 16, 16)).eval()
    assert few_rows(layers, torch.rand(1, 17, 16)) == {layers[2]}
    assert few_rows(layers, torch.rand(17, 17, 16)) == set()


def test_what_has_nothing_to_quantise_is_unsupported() -> None:
    pytest.importorskip("torchao")
    with pytest.raises(UnsupportedError, match=r"nothing to quantise: 0\.0 % of the FLOPs"):
        quantise_layers(nn.Sequential(nn.Conv2d(3, 16, 3)).eval(), torch.rand(1, 3, 8, 8), "int8")
    with pytest.raises(UnsupportedError, match=r"nothing to quantise: 0\.0 % of the FLOPs"):
        quantise_layers(nn.ReLU(), torch.rand(1, 3), "int8-weight")


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen, self.read = nn.Conv2d(3, 32, 16, 16), nn.Embedding(50, 32)
        self.wide, self.head = nn.Linear(32, 64), nn.Linear(64, 16)

    def forward(self, image, *, ids):
        both = self.seen(image).flatten(2).transpose(1, 2) + self.read(ids)
        return self.head(self.wide(both).relu()).mean(1)

def build():
    return Net()
"""


@pytest.mark.parametrize("rest", [torch.float32, torch.bfloat16])
def test_a_network_of_several_inputs_is_quantised_whatever_type_the_rest_has(
    rest: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On accelerators what is not quantised is bfloat16, and with it the images."""
    pytest.importorskip("torchao")
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.setattr("workloads.inference.rest_dtype", lambda _: rest)
    workload = prepared(
        "inference", model=f"{tmp_path}/net.py:build", precision="int8-weight", input=["3x64x64", "ids:int64:16<50"]
    )
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    torch.testing.assert_close(outputs, reference.float(), atol=0.05, rtol=0.05)
