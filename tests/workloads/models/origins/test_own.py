"""The user's own networks trained: their head is what is called last, and several outputs hold scores among others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.workloads.conftest import prepared
from workloads.base import BadInputError
from workloads.models.heads import last_layer, n_outputs
from workloads.models.loading import build_model

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.body = nn.Conv2d(3, 8, 3, stride=2)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        features = self.body(x).relu().mean((2, 3))
        return features, self.head(features)

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(6, 4, batch_first=True)

    def forward(self, x):
        return self.cell(x)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)


def test_the_head_is_what_is_called_last_and_not_what_is_defined_last() -> None:
    module = build_model("net.py:Net", num_classes=10).module
    name, layer = last_layer(module)
    assert (name, n_outputs(layer)) == ("head", 10)
    assert module(torch.zeros(2, 3, 16, 16))[1].shape == (2, 10)


@pytest.mark.parametrize("tune", ["full", "head"])
def test_a_network_that_answers_with_a_tuple_is_trained_and_its_first_steps_are_compared(tune: str) -> None:
    workload = prepared("finetune", model="net.py:Net", batch_size=16, image_size=32, tune=(tune,))
    steps = workload.first_steps()  # type: ignore[attr-defined]
    assert steps.own.losses == pytest.approx(steps.reference.losses, rel=1e-3)
    workload.step()
    assert 0 <= workload.end_round(0)["accuracy"] <= 1
    body = workload._module.body.weight  # type: ignore[attr-defined]
    assert body.requires_grad == (tune == "full")
    workload.teardown()


def test_weights_go_into_a_network_with_or_without_a_head(tmp_path: Path) -> None:
    state = {f"module.{name}": torch.full_like(t, 0.5) for name, t in nn.GRU(6, 4).state_dict(prefix="cell.").items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "gru.pt")
    loaded = build_model("net.py:Recurrent", weights_file=tmp_path / "gru.pt")
    assert loaded.weights == "gru.pt"
    assert all((p == 0.5).all() for p in loaded.module.parameters())
    own = build_model("net.py:Net").module.state_dict()
    torch.save({**own, "head.weight": torch.ones(7, 8), "head.bias": torch.ones(7)}, tmp_path / "seven.pt")
    assert n_outputs(last_layer(build_model("net.py:Net", weights_file=tmp_path / "seven.pt").module)[1]) == 7
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html>Not found</html>")
    (tmp_path / "lfs.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    for name, what in (("page.pt", "HTML"), ("lfs.pt", "Git LFS")):
        with pytest.raises(BadInputError, match=f"--weights: .*{name}' is .*{what}"):
            build_model("net.py:Net", weights_file=tmp_path / name)


def test_an_answer_with_the_items_in_its_second_dimension_is_compared() -> None:
    workload = prepared("inference", model="net.py:Recurrent", batch_size=3, input=["5x6"])
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"0": (8, 5, 4), "1": (8, 1, 4)}
    assert all((outputs[name] - reference[name]).abs().max() < 1e-5 for name in outputs)


OTHERS = """
import torch
from torch import nn

class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 4, dtype=torch.complex64)
        self.second = nn.Linear(4, 3)

    def forward(self, x):
        return self.second(self.first(x).abs())

class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        return self.layer(x.mul_(2)).relu().to_sparse()

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(10))

    def forward(self, x):
        return self.net(x)

def half():
    return nn.Linear(6, 2).bfloat16(), torch.randn(2, 6).bfloat16()

def numbers():
    return Complex(), torch.randn(2, 8, dtype=torch.complex64)

def scripted():
    return torch.jit.trace(nn.Sequential(nn.Linear(6, 6), nn.ReLU()).eval(), torch.randn(1, 6)), torch.randn(1, 6)

def sparse():
    return Sparse(), torch.randn(1, 6)
"""


@pytest.mark.parametrize("name", ["half", "numbers", "scripted", "sparse", "Lazy"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:FutureWarning")
def test_networks_of_every_kind_answer_as_the_reference_does(name: str) -> None:
    Path("others.py").write_text(OTHERS)
    more = {"input": ["3x5x5"]} if name == "Lazy" else {}
    workload = prepared("inference", model=f"others.py:{name}", batch_size=3, **more)
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert outputs.shape == reference.shape
    torch.testing.assert_close(outputs, reference.float(), atol=1e-5, rtol=1e-5)


def test_a_lazy_network_is_trained() -> None:
    Path("others.py").write_text(OTHERS)
    workload = prepared("finetune", model="others.py:Lazy", batch_size=16)
    assert workload.first_steps().reason is None  # type: ignore[attr-defined]
    workload.step()
    workload.teardown()
