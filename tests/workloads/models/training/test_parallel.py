"""A step of two processes is the step of one with all their items; cut into units that FSDP can gather."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workloads.models.training.grouped import trained, trained_by_two
from workloads.base import UnsupportedError
from workloads.models.training.parallel import _units, spread
from workloads.runtime.group import Group


def test_gradients_and_losses_of_two_processes_are_those_of_one_with_all_items() -> None:
    alone = trained(Group(), "ddp")
    for how, two in trained_by_two(["ddp", "fsdp"]).items():
        assert two.losses == pytest.approx(alone.losses, rel=1e-6), how
        assert two.losses[1] < two.losses[0], how
        assert torch.allclose(two.gradient, alone.gradient, rtol=1e-5, atol=1e-7), how


def test_of_one_process_nothing_is_spread() -> None:
    module = nn.Linear(2, 2)
    assert spread(module, Group(), torch.device("cpu"), "fsdp") == (module, None)


def test_devices_that_torch_does_not_connect_are_told_of() -> None:
    with pytest.raises(UnsupportedError, match=r"torch\.distributed connects no meta devices"):
        spread(nn.Linear(2, 2), Group(rank=0, size=2), torch.device("meta"), "ddp")


def test_units_are_small_whole_and_called() -> None:
    block = nn.TransformerEncoderLayer(8, 2, 16)
    module = nn.ModuleDict(
        {"blocks": nn.ModuleList([block, nn.Linear(8, 8)]), "act": nn.ReLU(), "head": nn.Linear(8, 2)}
    )
    n = sum(p.numel() for p in module.parameters())
    units = list(_units(module, n / 8))
    assert block.self_attn in units, "it reads the weights of its parts itself"
    assert module["head"] in units
    assert not any(isinstance(unit, (nn.ModuleList, nn.ReLU)) for unit in units)
    assert sum(p.numel() for unit in units for p in unit.parameters()) == n
