"""What a network does beside answering is seen by asking it twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's usual name)

from workloads.models.calls.behaviour import Behaviour, Sparing, is_lazy, settle_shapes
from workloads.models.calls.inputs import Inputs


class Net(nn.Module):
    """A layer between what is done to its input and to its answer."""

    def __init__(self, before: Any = None, after: Any = None) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.n, self.before, self.after = 0, before, after

    def forward(self, x: torch.Tensor) -> Any:
        self.n += 1
        x = x if self.before is None else self.before(x)
        out = self.layer(x)
        return {"out": out if self.after is None else self.after(self, out), "none": None, "best": out.argmax(1)}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Net(), Behaviour()),
        (Net(before=lambda x: x.relu_()), Behaviour(changes_inputs=True)),
        (Net(after=lambda _, x: F.dropout(x)), Behaviour(varies=True)),
        (Net(after=lambda net, x: x + net.n), Behaviour(varies=True)),
        (Net(after=lambda net, x: x[: net.n % 2]), Behaviour(varies=True)),
        (Net(after=lambda _, x: x * torch.nan), Behaviour()),
        (Net(before=lambda x: x[:, :3]), Behaviour()),
    ],
    ids=["plain", "in place", "dropout", "state", "shape", "nan", "fails"],
)
def test_two_calls_show_it_and_leave_items_and_random_numbers_as_they_were(network: Net, expected: Behaviour) -> None:
    items = Inputs.of(torch.randn(2, 6))
    before, generator = items.tensors[0].clone(), torch.random.get_rng_state()
    assert Behaviour.of(network.eval(), items) == expected
    assert torch.equal(items.tensors[0], before)
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_a_network_that_changes_its_inputs_is_called_with_copies() -> None:
    network = Net(before=lambda x: x.mul_(2))
    x = torch.randn(2, 6)
    before = x.clone()
    assert torch.equal(Sparing(network)(x=x)["out"], network(before.clone())["out"])
    assert torch.equal(x, before)


def test_lazy_layers_learn_their_shapes_and_can_be_trained() -> None:
    network = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    assert is_lazy(network)
    settle_shapes(network, Inputs.of(torch.randn(1, 6)))
    assert not is_lazy(network)
    network(torch.randn(3, 6)).sum().backward()
    assert network[0].weight.grad.shape == (4, 6)
