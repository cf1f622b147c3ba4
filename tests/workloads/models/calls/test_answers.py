"""Answers of every structure: their tensors by name, where the items are, and what of large ones is compared."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from workloads.models.calls.answers import MAX_VALUES, Layout, class_scores, joined, leaves, scores_of, tensors_of

Pair = namedtuple("Pair", ["mean", "spread"])


@dataclass
class Output:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...]
    loss: torch.Tensor | None = None


def made(n: int) -> dict[str, Any]:
    """One answer to ``n`` items in every structure that networks use."""
    x = torch.arange(n * 6.0).reshape(n, 6)
    return {
        "tuple": (x, x + 1),
        "dict": OrderedDict(out=x, aux={"deep": x * 2}),
        "named tuple": Pair(mean=x, spread=x + 3),
        "dataclass": Output(logits=x, hidden=(x, x)),
        "object": SimpleNamespace(logits=x, name="net"),
    }


def test_sparse_nested_and_circular_answers() -> None:
    around = SimpleNamespace(y=torch.ones(2, 3))
    around.me = [around]
    assert list(leaves(around)) == ["y"]
    assert [t.shape for t in tensors_of(around)] == [(2, 3)]
    assert torch.equal(leaves({"s": torch.eye(3).to_sparse()})["s"], torch.eye(3))
    assert not leaves(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("tuple", ["0", "1"]), ("dict", ["out", "aux.deep"]), ("named tuple", ["mean", "spread"]),
        ("dataclass", ["logits", "hidden.0", "hidden.1"]), ("object", ["logits"]),
    ],
)  # fmt: skip
def test_every_structure_has_its_floating_point_tensors_by_name(kind: str, names: list[str]) -> None:
    answers = made(4)[kind]
    assert list(leaves(answers)) == names
    assert len(list(tensors_of(answers))) == len(names)
    layout = Layout.of((answers, 4), (made(3)[kind], 3))
    assert layout.dims == dict.fromkeys(names, 0)
    assert not layout.left_out
    assert list(layout.items_first(answers)) == names


def test_whole_numbers_are_left_out_and_complex_ones_are_pairs() -> None:
    assert list(leaves({"classes": torch.arange(3), "scores": torch.rand(3)})) == ["scores"]
    assert leaves(torch.zeros(2, 3, dtype=torch.complex64))[""].shape == (2, 3, 2)


def test_items_are_found_in_whichever_dimension_they_are_and_not_in_means_or_what_is_chosen_by_value() -> None:
    def answer(n: int) -> dict[str, torch.Tensor]:
        return {
            "states": torch.rand(2, n, 5),
            "loss": torch.rand(()),
            "weights": torch.rand(n, 7),
            "kept": torch.rand(2 * n, 4),
        }

    layout = Layout.of((answer(8), 8), (answer(3), 3))
    assert layout.dims == {"states": 1, "weights": 0}
    assert set(layout.left_out) == {"loss", "kept"}
    first = layout.items_first(answer(5))
    assert {name: tuple(output.shape) for name, output in first.items()} == {"states": (5, 2, 5), "weights": (5, 7)}


def test_a_list_with_an_answer_for_each_item_is_stacked_where_all_are_alike() -> None:
    def answer(n: int) -> list[dict[str, torch.Tensor]]:
        return [{"mask": torch.full((2, 2), float(i)), "boxes": torch.rand(i + 1, 4)} for i in range(n)]

    layout = Layout.of((answer(4), 4), (answer(3), 3))
    assert layout.is_listed
    assert layout.dims == {"mask": 0}
    assert layout.items_first(answer(2))["mask"][:, 0, 0].tolist() == [0.0, 1.0]
    assert Layout.of((list(torch.rand(4, 5)), 4), (list(torch.rand(3, 5)), 3)).dims == {"": 0}


def test_of_large_outputs_a_part_is_compared_and_nan_anywhere_in_them_is_seen() -> None:
    layout = Layout(dims={"": 0})
    large = torch.rand(2, 3, MAX_VALUES)
    found = layout.items_first(large)[""]
    assert found.ndim == 3, "no classes, whatever their number"
    assert MAX_VALUES // 2 < found.shape[1] <= MAX_VALUES
    large[1, 0, 1] = torch.nan
    assert layout.items_first(large)[""].isnan().any((1, 2)).tolist() == [False, True]


def test_parts_are_joined_where_they_have_one_shape() -> None:
    parts = [{"a": torch.rand(2, 3), "b": torch.rand(2, 1)}, {"a": torch.rand(1, 3), "b": torch.rand(1, 5)}]
    assert {name: tuple(output.shape) for name, output in joined(parts).items()} == {"a": (3, 3)}


def test_class_scores_are_the_logits_or_the_first_output_with_as_many_classes() -> None:
    features, scores = torch.rand(2, 64), torch.rand(2, 10)
    assert class_scores((features, scores), 10) is scores
    assert class_scores({"features": features, "logits": scores}) is scores
    assert scores_of({"out": torch.rand(2, 10, 4, 4)}, 10) is None
    with pytest.raises(TypeError, match="answers with dict, in which no output is items x 10"):
        class_scores({"a": features}, 10)
