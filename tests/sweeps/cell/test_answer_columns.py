"""A cell's precision is proven by its products or its answers: another one under its name is a wrong result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sweeps.cell.answer_columns import answer_columns
from sweeps.cell.outcome import WrongResultError
from sweeps.measure.compile_caches import compiled_apart
from sweeps.measure.products import NOT_SEEN, ProductTypes
from sweeps.measure.step_work import count_step
from sweeps.plan.config import TrialConfig
from sweeps.store.schema import TRIALS
from workloads.base import Extras
from workloads.models.rounding import rounded_answer
from workloads.precision import autocast
from workloads.runtime.torch_private import own_compile_caches

CPU = torch.device("cpu")


class Network:
    """A small network, compiled or not, that computes in one precision and is called another."""

    def __init__(self, *, compiled: bool = False, computes: str = "fp32", same: bool = False) -> None:
        torch.manual_seed(0)
        more = (nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))  # each is another kernel to compile
        self.module = nn.Sequential(nn.Linear(8, 64), *(() if compiled else more)).eval()
        self.inputs = torch.randn(16, 8)
        if same:
            self.inputs = self.inputs[:1].expand(16, 8)
        self.is_compiled, self.computes = compiled, computes
        self.forward = torch.compile(self.module) if compiled else self.module

    def step(self) -> torch.Tensor:
        with torch.inference_mode(), autocast(CPU, self.computes):
            return self.forward(self.inputs)

    def outputs_and_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.step().float()
        exact = self.module.double()(self.inputs.double()).detach()
        self.module.float()
        return outputs, exact

    def rounded_reference(self) -> torch.Tensor:
        return rounded_answer(self.module, self.inputs)


def judged(network: Network, called: str, products: ProductTypes, **row: Any) -> tuple[dict[str, Any], str | None]:
    found: dict[str, Any] = {}
    cell = TrialConfig(workload="inference", device="cpu", batch_size=2, precision=called)
    try:
        for columns in answer_columns(network, Extras.of(network), CPU, cell, row, products):  # type: ignore[arg-type]
            found |= columns
    except WrongResultError as error:
        return found, str(error)
    assert set(found) <= set(TRIALS.names)
    return found, None


@pytest.mark.parametrize("called", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("computes", ["fp32", "bf16", "fp16"])
def test_an_answer_is_right_in_the_precision_that_computed_it_alone(called: str, computes: str) -> None:
    found, wrong = judged(Network(computes=computes), called, ProductTypes())  # no product was seen
    alike = {called, computes} == {"tf32", "fp16"}  # which have as many bits
    assert (wrong is None) == (called == computes or alike), (found, wrong)
    assert 0.3 < found["rms_rel_diff"] / found["rounding_rel_diff"] < 3 or not (called == computes != "fp32" or alike)
    assert found["n_compared"] == 16


def test_products_that_were_seen_decide() -> None:
    network, products = Network(computes="bf16"), ProductTypes()
    with products:
        count_step(network.step)
    found, wrong = judged(network, "fp16", products)
    assert (found["computed_dtype"], wrong) == (
        "bfloat16", "products are computed in bfloat16, where fp16 stands for float16",
    )  # fmt: skip
    assert judged(network, "bf16", products)[1] is None


def test_code_that_a_cache_serves_to_another_precision_is_a_wrong_result(monkeypatch, tmp_path) -> None:
    """As torch < 2.14 did: its cache's keys were blind to autocast's type."""
    cache = pytest.importorskip("torch._functorch._aot_autograd.autograd_cache")
    real = cache.autograd_cache_key
    monkeypatch.setattr(cache, "autograd_cache_key", lambda *a, **k: ("ablind", *real(*a, **k)[1:]))
    with own_compile_caches(tmp_path, "cpu"):  # one for both, as without caches of their own
        for computes in ("bf16", "fp16"):
            torch.compiler.reset()
            network, products = Network(compiled=True, computes=computes), ProductTypes()
            network.step()
        found, wrong = judged(network, "fp16", products)
    assert found["computed_dtype"] == "bfloat16", "told by its answers"
    assert wrong is not None
    assert "as if computed in bfloat16" in wrong
    torch.compiler.reset()
    products = ProductTypes()
    with compiled_apart(CPU, products.look_at):
        network = Network(compiled=True, computes="fp16")
        network.step()
        found, wrong = judged(network, "fp16", products, compile_s=1.0, step_median_s=0.0)
    assert (found["computed_dtype"], wrong) == ("float16", None)
    assert found["compile_warm_s"] > 0
    torch.compiler.reset()


def test_what_cannot_be_compared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    outputs, reference = network.outputs_and_reference()
    monkeypatch.setattr(network, "outputs_and_reference", lambda: ({"a": outputs}, {"b": reference}))
    monkeypatch.setattr(network, "rounded_reference", lambda: {"b": reference.float()})
    told = "the answers are a, those of the reference b"
    assert judged(network, "fp32", ProductTypes())[0]["agreement_reason"] == told
    network.incomparable = "it draws random numbers"  # type: ignore[attr-defined]
    found, wrong = judged(network, "fp32", ProductTypes())
    assert (found["agreement_reason"], wrong, found.get("n_compared")) == ("it draws random numbers", None, None)


def test_what_no_answer_could_fail_is_no_agreement() -> None:
    found, wrong = judged(Network(same=True), "fp32", ProductTypes())
    assert wrong is None
    assert found["agreement_reason"] == "the reference's answers to all 16 items are the same"
    assert [found[name] for name in ("top1_agreement_ratio", "max_abs_diff", "rms_rel_diff")] == [None] * 3
    assert (found["n_compared"], found["reference"]) == (16, "cpu fp64")
    network = Network()
    network.module[-1].bias.data[3] = 1e3
    found, wrong = judged(network, "fp32", ProductTypes())
    assert found["agreement_reason"] == "the reference's best class of all 16 items is 3"
    assert found["top1_agreement_ratio"] is None
    assert found["max_abs_diff"] is not None
    same = Network(same=True)
    monkey = same.outputs_and_reference
    same.outputs_and_reference = lambda: (-monkey()[0], monkey()[1])  # type: ignore[method-assign]
    found, wrong = judged(same, "fp32", ProductTypes())
    assert wrong is not None
    assert found["max_abs_diff"] > 0, "a wrong answer keeps its figures"


def test_without_a_sight_of_the_graphs_or_rounded_answers_the_type_is_unknown() -> None:
    network = Network(compiled=True)
    network.forward = network.module
    network.rounded_reference = None  # type: ignore[method-assign]
    found, wrong = judged(network, "fp32", ProductTypes())
    assert (found["computed_dtype"], found["computed_dtype_reason"], wrong) == (None, NOT_SEEN, None)


@pytest.mark.parametrize("n_answered", [2, 5])
def test_outputs_of_the_first_items_alone_are_compared_with_theirs(n_answered: int) -> None:
    network = Network()
    whole = network.outputs_and_reference
    network.outputs_and_reference = lambda: (whole()[0][:n_answered], whole()[1])  # type: ignore[method-assign]
    found, wrong = judged(network, "fp32", ProductTypes())
    assert (found["n_compared"], wrong) == (n_answered, None)
    assert 0 < found["rounding_rel_diff"] < 1e-3
