from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from workloads.models import reference as known_reference
from workloads.models.reference import identity_of, known_reference_outputs


class Counted(nn.Module):
    """A small network that counts the items it was given in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv2d(3, 4, 3)
        self.n_items = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.n_items += len(x) if x.dtype == torch.float64 else 0
        return self.layer(x).flatten(1)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_reference, "_known", {})


def test_answers_are_those_of_the_reference_and_each_item_is_computed_once() -> None:
    images, module = torch.rand(6, 3, 8, 8), Counted().eval()
    expected = known_reference_outputs("alone", module, images, max_s=60)
    module.n_items = 0
    for n in (2, 6, 3, 6):
        outputs = known_reference_outputs("a", module, images[:n], max_s=60)
        assert outputs.dtype == torch.float64
        assert torch.equal(outputs, expected[:n])
    assert module.n_items == 6
    assert next(module.parameters()).dtype == torch.float32


def test_another_network_begins_anew_and_the_one_before_is_forgotten() -> None:
    images, module = torch.rand(2, 3, 8, 8), Counted().eval()
    for network in ("a", "b", "a"):
        known_reference_outputs(network, module, images, max_s=60)
    assert module.n_items == 6
    assert list(known_reference._known) == ["a"]


def test_a_batch_has_one_type_even_if_some_of_its_items_are_known() -> None:
    images, module = torch.rand(3, 3, 8, 8), Counted().eval()
    known_reference_outputs("a", module, images[:1], max_s=60)
    outputs = known_reference_outputs("a", module, images, max_s=0.0)
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, module(images))


def test_weights_written_anew_are_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"a")
    before = identity_of(path)
    assert identity_of(path) == before
    path.write_bytes(b"b")
    os.utime(path, ns=(1, 2))
    assert identity_of(path) != before
    assert identity_of(None) is None
