"""The trusted answer is in float64 or float32 by the network's own work, and computed once for all sweeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's usual name)

from tests.workloads.conftest import prepared
from workloads.models import reference as reference_module
from workloads.models.loading import identity_of
from workloads.models.reference import N_ROUNDED, grouped_conv2d, reference_of
from workloads.runtime import kept as keeping


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reference_module, "_known", {})
    monkeypatch.setenv(keeping.FOLDER_VARIABLE, str(tmp_path / "kept"))


def reference_outputs(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The answers of a network that nothing is known of yet."""
    return reference_of(object(), module, images).outputs[""]


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 5),
    ).eval()  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.sampled_from([(3, 3), (1, 5), (2, 3)]),
    st.sampled_from([1, 2, (2, 1)]), st.sampled_from([0, 1, (0, 2)]), st.sampled_from([1, 2]), st.booleans(),
)  # fmt: skip
def test_grouped_convolutions_are_torchs_own(
    groups, per_in, per_out, kernel, stride, padding, dilation, has_bias
) -> None:
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    x, weight = draw(2, groups * per_in, 13, 14), draw(groups * per_out, per_in, *kernel)
    bias = draw(groups * per_out) if has_bias else None
    ours = grouped_conv2d(x, weight, bias, stride, padding, dilation, groups)
    torch.testing.assert_close(ours, F.conv2d(x, weight, bias, stride, padding, dilation, groups))


def test_a_small_network_is_computed_in_float64() -> None:
    images = torch.rand(3, 3, 16, 16)
    reference = reference_outputs(small(), images)
    assert reference.dtype == torch.float64
    exact = small().double()(images.double())
    torch.testing.assert_close(reference, exact.detach(), rtol=1e-12, atol=1e-12)
    single = small()(images)
    assert 0 < (single.double() - reference).abs().max() < 1e-5, "float32 rounds, and this is not float32"


def test_weights_keep_their_values_and_their_type() -> None:
    module = small()
    before = [p.clone() for p in module.parameters()]
    reference_outputs(module, torch.rand(1, 3, 16, 16))
    for parameter, kept in zip(module.parameters(), before, strict=True):
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, kept)


def test_a_network_of_much_work_is_computed_in_float32_whatever_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(2, 3, 16, 16)
    monkeypatch.setattr(reference_module, "MAX_DOUBLE_FLOP", 1e3)
    reference = reference_outputs(small(), images)
    assert reference.dtype == torch.float32
    torch.testing.assert_close(reference, small()(images).detach())


@pytest.mark.parametrize(("n_items", "n_rounded"), [(1, 1), (2, 2), (3, 3), (9, 2)])
def test_of_a_network_of_much_work_few_answers_are_rounded(
    n_items: int, n_rounded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_module, "MAX_ROUNDED_FLOP", 1.0)
    found = reference_of(object(), small(), torch.rand(n_items, 3, 16, 16))
    assert (len(found.rounded[""]), len(found.outputs[""])) == (n_rounded, n_items)
    assert found.layout.dims == {"": 0}


class Fixed(nn.Module):
    """Has a constant in float32 inside, which does not meet float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ torch.ones(48, 2, dtype=torch.float32)


class Narrowing(nn.Module):
    """Computes in float32 whatever it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).float() * 0.1


@pytest.mark.parametrize("module", [Fixed(), Narrowing()])
def test_a_network_that_cannot_compute_in_float64_is_computed_in_float32(module: nn.Module) -> None:
    images = torch.rand(2, 3, 4, 4)
    reference = reference_outputs(module, images)
    assert reference.dtype == torch.float32
    assert torch.equal(reference, module(images))


def test_a_networks_own_mistake_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        reference_outputs(nn.Linear(7, 2), torch.rand(2, 3, 4, 4))


def test_an_inference_cell_answers_as_many_crops_as_asked_for_whatever_its_batch_size() -> None:
    workload = prepared("inference", model="squeezenet1_1", batch_size=3, n_compared=4)
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert outputs.shape == reference.shape == (4, 1000)
    assert reference.dtype == torch.float64
    assert 0 < (outputs - reference).abs().max() / reference.abs().max() < 1e-4
    assert outputs.unique(dim=0).shape[0] == 4, "different crops"
    rounded = workload.rounded_reference()  # type: ignore[attr-defined]
    assert 1e-4 < (rounded - reference[: len(rounded)]).abs().max() / reference.abs().max() < 0.1
    workload.step()  # the cell's own network is untouched
    workload.teardown()


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


def test_each_network_is_computed_once_for_all_sweeps_and_anew_for_other_weights_inputs_or_damage(
    tmp_path: Path,
) -> None:
    images, module = torch.rand(10, 3, 8, 8), Counted().eval()
    first = reference_of("a", module, images)
    assert first.rounded[""].shape[0] == N_ROUNDED
    for network in ("a", "b", "a"):  # a new process knows what is on disk
        again = reference_of(network, module, images)
        assert torch.equal(again.outputs[""], first.outputs[""])
        assert torch.equal(again.rounded[""], first.rounded[""])
    assert module.n_items == 10
    reference_of("c", module, images[:4])
    assert module.n_items == 14
    nn.init.ones_(module.layer.bias)
    assert not torch.equal(reference_of("d", module, images).outputs[""], first.outputs[""])
    assert module.n_items == 24
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:-9])
    reference_of("e", module, images)
    assert module.n_items == 34
    assert next(module.parameters()).dtype == torch.float32


def test_weights_written_anew_are_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"a")
    before = identity_of(path)
    assert identity_of(path) == before
    path.write_bytes(b"b")
    os.utime(path, ns=(1, 2))
    assert identity_of(path) != before
    assert identity_of(None) is None
