"""The type of a step's products is seen where they run: eager, trained, compiled, fused; where there are none, that is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sweeps.measure.products import NO_PRODUCTS, NOT_SEEN, ProductTypes, wrong_type
from sweeps.measure.step_work import count_step
from workloads.precision import PRECISIONS, autocast, product_type
from workloads.runtime.without_compiler import flop_counter

CPU = torch.device("cpu")
NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
ATTENTION = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
IMAGES, TOKENS = torch.rand(2, 3, 8, 8), torch.rand(2, 5, 8)


def seen(step, precision: str = "fp32") -> list[str]:
    products = ProductTypes()
    with products:
        count_step(lambda: _cast(step, precision))
    return products.types


def _cast(step, precision: str) -> None:
    with autocast(CPU, precision):
        step()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(("network", "inputs"), [(NETWORK, IMAGES), (ATTENTION, TOKENS)])
def test_products_are_computed_in_what_autocast_lowers_to(network: nn.Module, inputs, precision: str) -> None:
    if network is NETWORK or precision == "fp32":  # fused attention is not lowered on every device
        with torch.inference_mode():
            assert seen(lambda: network(inputs), precision) == [product_type(precision)]
    assert seen(lambda: network(inputs).float().sum().backward(), precision) == [product_type(precision)]


def test_weights_held_in_a_precision_and_mixed_types_are_told_by_their_share() -> None:
    half, square = torch.rand(64, 64).half(), torch.rand(32, 32)
    assert seen(lambda: (half @ half, square @ square)) == ["float16", "float32"]
    assert seen(lambda: (half @ half, square[:2, :2] @ square[:2, :2])) == ["float16"], "a few are not told"


def test_products_of_eight_bits_are_told_whatever_their_sign_and_their_share_is_known() -> None:
    a, b = torch.ones(32, 64, dtype=torch.int8), torch.ones(64, 16, dtype=torch.int8)
    products = ProductTypes()
    with products:
        flops, _ = count_step(lambda: (torch._int_mm(a, b), torch.rand(32, 64) @ torch.rand(64, 16)))
    assert flops == 2 * 2 * 32 * 64 * 16
    assert set(products.types) == {"int8", "float32"}
    assert products.share("int8") == pytest.approx(0.5)
    assert ProductTypes().share("int8") is None


def test_a_step_without_products_says_so() -> None:
    products = ProductTypes()
    with products:
        count_step(lambda: IMAGES * 2)
    assert products.columns("fp32", is_compiled=False) == {
        "computed_dtype": None, "computed_dtype_reason": NO_PRODUCTS,
    }  # fmt: skip
    assert ProductTypes().columns("fp32", is_compiled=True)["computed_dtype_reason"] == NOT_SEEN


def test_what_another_runtime_tells_is_taken_in_the_place_of_what_was_seen() -> None:
    products = ProductTypes()
    with products:
        count_step(lambda: NETWORK(IMAGES))
    told = products.columns("bf16", is_compiled=False, elsewhere=("bfloat16", "float32"))
    assert told == {"computed_dtype": "bfloat16, float32", "computed_dtype_reason": None}
    assert products.columns("bf16", is_compiled=False, elsewhere=())["computed_dtype_reason"] == NOT_SEEN


@pytest.mark.parametrize("precision", PRECISIONS)
def test_another_type_than_the_precisions_is_wrong(precision: str) -> None:
    own = product_type(precision)
    assert wrong_type(own, precision) is None
    assert wrong_type(f"{own}, float64", precision) is None
    assert wrong_type(None, precision) is None
    row = PRECISIONS[precision]
    assert (wrong_type(f"bfloat16, {own}", precision) is None) == (row.quantised is not None or own == "bfloat16")
    if row.is_weight_only:
        assert wrong_type("float32", precision) is None, "its weights alone are of the type"
        return
    told = wrong_type("float64", precision)
    assert told == f"products are computed in float64, where {precision} stands for {own}"


def test_float32_products_are_called_tf32_where_the_device_was_told_so() -> None:
    products = ProductTypes()
    with products:
        count_step(lambda: NETWORK(IMAGES))
    assert products.columns("tf32", is_compiled=False)["computed_dtype"] == "tf32"
    assert products.columns("fp16", is_compiled=False)["computed_dtype"] == "float32"


def test_an_int8_product_is_seen_and_counted_as_torchao_asks_for_it_on_a_gpu() -> None:
    from torch._higher_order_ops.out_dtype import out_dtype

    rows, columns = (torch.randint(-5, 5, shape, dtype=torch.int8) for shape in ((32, 64), (64, 16)))
    whole = rows.int() @ columns.int()
    made: list[torch.Tensor] = []

    def product() -> None:
        made.append(out_dtype(torch.ops.aten.mm.default, torch.int32, rows, columns))

    products = ProductTypes()
    with flop_counter() as flops, products:
        product()
    assert (products.types, flops.get_total_flops()) == (["int8"], 0), "torch itself has no formula for it"
    assert count_step(product)[0] == 2 * 32 * 64 * 16
    assert all(torch.equal(found, whole) for found in made)
    operands = rows.float(), columns.float()
    assert count_step(lambda: out_dtype(torch.ops.aten.mm.default, torch.int32, *operands)) == (None, None)
