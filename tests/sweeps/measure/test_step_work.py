"""FLOPs and bytes of operations whose counts follow from their shapes, and rates and shares that follow from those."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's usual name)

from sweeps.measure.formulas import convolution_backward_flops
from sweeps.measure.step_work import count_step, limits_columns
from sweeps.store.schema import TRIALS

FLOAT = 4
sizes = st.integers(1, 24)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, sizes)
def test_a_matrix_product_has_two_flops_for_each_multiplication_and_moves_its_three_matrices(m, k, n) -> None:
    a, b = torch.rand(m, k), torch.rand(k, n)
    assert count_step(lambda: a @ b) == (2 * m * k * n, FLOAT * (m * k + k * n + m * n))


def test_fused_attention_has_the_flops_of_what_it_fuses() -> None:
    layer, tokens = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.rand(2, 5, 8)
    with torch.inference_mode():
        fused = count_step(lambda: layer(tokens))[0]
        attention = count_step(lambda: layer.self_attn(tokens, tokens, tokens, need_weights=False))[0]
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            assert fused == count_step(lambda: layer(tokens))[0]
            assert attention == count_step(lambda: layer.self_attn(tokens, tokens, tokens, need_weights=False))[0]
        finally:
            torch.backends.mha.set_fastpath_enabled(True)


def test_each_operation_of_a_step_counts() -> None:
    layer, batch = nn.Sequential(nn.Linear(64, 32), nn.ReLU()).requires_grad_(False), torch.rand(8, 64)
    flops, moved = count_step(lambda: layer(batch))
    assert flops == 2 * 8 * 64 * 32
    product = 8 * 64 + 64 * 32 + 32 + 8 * 32
    assert moved == FLOAT * (product + 2 * 8 * 32)


X = torch.rand(8, 16)
OPERATIONS = {
    "a copy reads one and writes one": (X.clone, 2 * 128),
    "a sum reads two and writes one": (lambda: X + X[:1], 128 + 16 + 128),
    "like another it reads nothing of it": (lambda: torch.rand_like(X) + torch.zeros_like(X), 2 * 128 + 3 * 128),
    "in place reads both and writes one": (lambda: X.clone().add_(X), 2 * 128 + 3 * 128),
    "over something reads nothing of it": (lambda: torch.empty_like(X).copy_(X), 2 * 128),
    "filling writes alone": (lambda: torch.empty(8, 16).fill_(3.0), 128),
    "making room moves nothing": (lambda: torch.empty(1000), None),
    "a view moves nothing": (lambda: X.view(16, 8).t()[2:], None),
    "what is only expanded is there once": (lambda: X[:1].expand(8, 16).clone(), 16 + 128),
    "a list is read whole": (lambda: torch.cat([X, X[:4], X[4:]]), 128 + 64 + 64 + 256),
    "the same tensor twice is read once": (lambda: X * X, 2 * 128),
    "a reduction writes little": (X.sum, 128 + 1),
    "into a given place it does not read that": (lambda: torch.add(X, 1, out=torch.empty(8, 16)), 2 * 128),
}


@pytest.mark.parametrize(("step", "elements"), OPERATIONS.values(), ids=OPERATIONS)
def test_bytes_are_what_an_operation_reads_and_writes(step, elements: int | None) -> None:
    flops, moved = count_step(step)
    assert moved == (None if elements is None else FLOAT * elements)
    assert flops is None, "none of these is a product"


def test_narrower_types_move_fewer_bytes() -> None:
    x = torch.rand(100)
    wide, narrow = count_step(x.clone)[1], count_step(x.bfloat16)[1]
    assert (wide, narrow) == (800, 600)


@pytest.mark.parametrize("groups", [1, 4, 16])
def test_a_convolutions_backward_pass_costs_as_much_for_each_gradient_as_forward(groups: int) -> None:
    layer = nn.Conv2d(16, 32, 3, padding=1, groups=groups, bias=False)
    x = torch.rand(2, 16, 8, 8, requires_grad=True)
    forward = 2 * (2 * 32 * 8 * 8) * (16 // groups * 3 * 3)
    assert count_step(lambda: layer(x))[0] == forward
    assert count_step(lambda: layer(x).sum().backward())[0] == 3 * forward
    assert count_step(lambda: layer(x.detach()).sum().backward())[0] == 2 * forward, "no gradient of the input"


def test_a_transposed_convolution_is_counted_from_its_input() -> None:
    layer, x = nn.ConvTranspose2d(8, 4, 3, stride=2, bias=False), torch.rand(1, 8, 5, 5, requires_grad=True)
    forward = count_step(lambda: layer(x))[0]
    assert forward == 2 * (8 * 5 * 5) * (4 * 3 * 3)
    assert count_step(lambda: layer(x).sum().backward())[0] == 3 * forward


def test_the_formula_follows_what_is_asked_for() -> None:
    shapes = ([2, 32, 8, 8], [2, 16, 8, 8], [32, 4, 3, 3])
    asked = lambda *mask: convolution_backward_flops(*shapes, *[None] * 4, False, None, 4, list(mask))  # noqa: E731
    assert asked(True, True, True) == 2 * asked(True, False, False)
    assert asked(False, False, True) == 0


def test_a_step_that_cannot_run_under_a_counter_has_unknown_counts() -> None:
    def refuse() -> None:
        raise NotImplementedError("no dispatch mode here")

    assert count_step(refuse) == (None, None)


def test_an_interrupt_is_not_taken_for_an_unknown_count() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_step(interrupt)


def test_rates_and_shares_follow_from_counts_and_ceilings() -> None:
    a, b = torch.rand(64, 128), torch.rand(128, 32)
    row = {"step_median_s": 0.5, "ceiling_flop_per_s": 4e6, "ceiling_bytes_per_s": 1e6}
    columns = limits_columns(lambda: a @ b, row)
    flops, moved = 2 * 64 * 128 * 32, FLOAT * (64 * 128 + 128 * 32 + 64 * 32)
    assert columns["flops_per_step"] == flops
    assert columns["bytes_per_step"] == moved
    assert columns["achieved_flop_per_s"] == pytest.approx(flops / 0.5)
    assert columns["achieved_bytes_per_s"] == pytest.approx(moved / 0.5)
    assert columns["flop_share_ratio"] == pytest.approx(flops / 0.5 / 4e6)
    assert columns["bandwidth_share_ratio"] == pytest.approx(moved / 0.5 / 1e6)
    assert columns["intensity_flop_per_byte"] == pytest.approx(flops / moved)
    assert set(columns) <= set(TRIALS.names)


@pytest.mark.parametrize("missing", ["step_median_s", "ceiling_flop_per_s", "ceiling_bytes_per_s"])
def test_what_is_missing_leaves_its_columns_null(missing: str) -> None:
    a = torch.rand(8, 8)
    row = {"step_median_s": 0.5, "ceiling_flop_per_s": 4e6, "ceiling_bytes_per_s": 1e6, missing: None}
    columns = limits_columns(lambda: a @ a, row)
    null = {
        "step_median_s": {"achieved_flop_per_s", "achieved_bytes_per_s", "flop_share_ratio", "bandwidth_share_ratio"},
        "ceiling_flop_per_s": {"flop_share_ratio"},
        "ceiling_bytes_per_s": {"bandwidth_share_ratio"},
    }[missing]
    assert {name for name, value in columns.items() if value is None} == null


def test_a_real_networks_flops_are_those_published() -> None:
    import torchvision

    network = torchvision.models.resnet18(weights=None).eval()
    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        flops, moved = count_step(lambda: network(image))
    # torchvision's table: 1.814 G multiply-adds.
    assert flops == pytest.approx(2 * 1.814e9, rel=0.002)
    weights = sum(p.numel() for p in network.parameters()) * FLOAT
    assert moved is not None
    assert moved > weights


def test_functional_and_module_calls_count_alike() -> None:
    layer, x = nn.Conv2d(3, 8, 3), torch.rand(1, 3, 10, 10)
    with torch.no_grad():
        assert count_step(lambda: layer(x)) == count_step(lambda: F.conv2d(x, layer.weight, layer.bias))
