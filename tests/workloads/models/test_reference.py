"""The trusted answer is in float64 where that is cheap, and float32's otherwise, once for each item; grouped convolutions are torch's."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's usual name)

from tests.workloads.conftest import prepared
from workloads.models import reference as reference_module
from workloads.models.reference import grouped_conv2d, identity_of, known_reference_outputs


def reference_outputs(module: nn.Module, images: torch.Tensor, *, max_s: float) -> torch.Tensor:
    """The answers of a network that nothing is known of yet."""
    return known_reference_outputs(object(), module, images, max_s=max_s)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 5),
    ).eval()  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from([(3, 3), (1, 5), (2, 3)]),
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
    reference = reference_outputs(small(), images, max_s=60)
    assert reference.dtype == torch.float64
    exact = small().double()(images.double())
    torch.testing.assert_close(reference, exact.detach(), rtol=1e-12, atol=1e-12)
    single = small()(images)
    assert 0 < (single.double() - reference).abs().max() < 1e-5, "float32 rounds, and this is not float32"


def test_weights_keep_their_values_and_their_type() -> None:
    module = small()
    before = [p.clone() for p in module.parameters()]
    reference_outputs(module, torch.rand(1, 3, 16, 16), max_s=60)
    for parameter, kept in zip(module.parameters(), before, strict=True):
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, kept)


class Slow(nn.Module):
    """Takes a tenth of a second an item, in many steps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            for _ in range(20):
                time.sleep(0.005)
                x = x + 0
        return x.flatten(1)


def test_a_network_that_takes_too_long_in_float64_is_stopped_early_and_computed_in_float32() -> None:
    images = torch.rand(10, 3, 4, 4)
    began = time.perf_counter()
    reference = reference_outputs(Slow(), images, max_s=0.2)
    taken = time.perf_counter() - began
    assert reference.dtype == torch.float32
    assert torch.equal(reference, images.flatten(1))
    assert taken < 0.6, "one item's share of the time, and not the second that all would take"


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
    reference = reference_outputs(module, images, max_s=60)
    assert reference.dtype == torch.float32
    assert torch.equal(reference, module(images))


def test_a_networks_own_mistake_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        reference_outputs(nn.Linear(7, 2), torch.rand(2, 3, 4, 4), max_s=60)


def test_an_inference_cell_is_compared_with_float64_where_that_is_cheap(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(reference_module, "known_reference_outputs", lambda _, m, x: reference_outputs(m, x, max_s=120))
    workload = prepared("inference", model="efficientnet_lite0", batch_size=1)
    workload._host = workload._host[..., 80:144, 80:144]  # type: ignore[attr-defined]  # seconds less
    workload._batch = workload._host  # type: ignore[attr-defined]
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert reference.dtype == torch.float64
    assert reference.shape == outputs.shape
    assert 0 < (outputs - reference).abs().max() / reference.abs().max() < 1e-4
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


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_module, "_known", {})


def test_answers_are_those_of_the_reference_and_each_item_is_computed_once() -> None:
    images, module = torch.rand(6, 3, 8, 8), Counted().eval()
    expected = reference_outputs(module, images, max_s=60)
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
    assert list(reference_module._known) == ["a"]


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
