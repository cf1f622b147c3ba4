"""Networks as exporters take them: tensors in and out, whatever the network itself takes and answers with."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from workloads.base import UnsupportedError
from workloads.models.calls.examples import read_example
from workloads.models.calls.flat import Flat, Named, Plain


@dataclass
class Output:
    logits: torch.Tensor
    best: torch.Tensor
    loss: None = None


class Net(nn.Module):
    def forward(self, x: torch.Tensor, *, mask: torch.Tensor) -> Output:
        out = x * mask
        return Output(logits=out, best=out.argmax(1))


class Silent(nn.Module):
    def forward(self, x: torch.Tensor) -> None: ...


def test_all_tensors_of_an_answer_are_kept_so_that_no_work_is_left_out() -> None:
    x, mask = torch.rand(3, 4), torch.ones(3, 4)
    flat = Flat(Net(), read_example(((x,), {"mask": mask}), "net"))
    assert flat.names == ("logits", "best")
    logits, best = flat(x, mask)
    assert torch.equal(logits, x)
    named = Named(flat, flat.names)(x, mask)
    assert list(named) == ["logits", "best"]
    assert torch.equal(named["best"], best)
    program = torch.export.export(Plain(Net()), (x,), {"mask": mask})
    assert torch.equal(program.module()(x, mask=mask)["logits"], x)


def test_a_network_with_one_tensor_for_an_answer_keeps_it() -> None:
    layer, x = nn.Linear(4, 2), torch.rand(3, 4)
    flat = Flat(layer, read_example(x, "net"))
    assert torch.equal(Named(flat, flat.names)(x), layer(x))
    assert torch.equal(Plain(layer)(x), layer(x))


def test_nothing_is_left_of_a_network_that_answers_with_no_tensor() -> None:
    x = torch.rand(2, 3)
    for call in (lambda: Flat(Silent(), read_example(x, "net")), lambda: Plain(Silent())(x)):
        with pytest.raises(UnsupportedError, match="answers with no tensor"):
            call()
