"""Items for networks: photographs where they take images, what resembles an example, random numbers."""

from __future__ import annotations

import pytest
import torch

from workloads.base import BadInputError
from workloads.images.photographs import load_photographs
from workloads.models.calls.examples import InputMaker, read_example
from workloads.models.calls.inputs import Inputs
from workloads.models.calls.taken import parse_inputs


def maker(*texts: str, example: Inputs | None = None) -> InputMaker:
    return InputMaker(
        photographs=load_photographs(), takes=parse_inputs(texts), example=example, mean=(0.5,) * 3, std=(0.5,) * 3
    )


def test_an_image_is_a_photograph_whatever_its_size_and_colours() -> None:
    make = maker("3x24x40")
    items = make(6).tensors[0]
    assert items.shape == (6, 3, 24, 40)
    assert items.unique(dim=0).shape[0] == 6, "different crops"
    assert (make.is_image, make.is_synthetic, make.shape) == (True, False, "3x24x40")
    assert "scikit-learn" in make.source
    assert torch.equal(make(6).tensors[0], items), "the same each time"
    grey = maker("1x24x24")(2).tensors[0]
    assert grey.shape == (2, 1, 24, 24)
    assert 0 < grey.std() < 2


def test_a_clip_pans_over_a_photograph_and_the_second_of_two_images_is_shifted() -> None:
    clips = maker("3x4x16x16")(2).tensors[0]
    assert clips.shape == (2, 3, 4, 16, 16)
    assert torch.equal(clips[:, :, 0, 1:, 1:], clips[:, :, 1, :-1, :-1])
    first, second = maker("a:3x16x16", "b:3x16x16")(2).tensors
    assert torch.equal(first[..., 4:, 4:], second[..., :-4, :-4])


def test_numbers_are_random_of_the_type_and_under_the_limit() -> None:
    make = maker("9", "ids:int64:1x5<7", "half:float16:2")
    inputs = make(50)
    values, ids, half = inputs.tensors
    assert (values.dtype, ids.dtype, half.dtype) == (torch.float32, torch.int64, torch.float16)
    assert (ids.min(), ids.max()) == (0, 6)
    assert set(inputs.kwargs) == {"ids", "half"}
    assert len(inputs.args) == 1
    assert make.is_synthetic
    assert make.source == "random numbers"
    assert make.bytes_of(2) == 2 * (9 * 4 + 5 * 8 + 2 * 2)


def test_the_first_items_are_the_same_however_many_are_made() -> None:
    for make in (maker("13"), maker("9", example=read_example(torch.zeros(2, 3), "net"))):
        more, fewer = make(20).tensors[0], make(7).tensors[0]
        assert torch.equal(more[:7], fewer)


def test_items_like_an_example_have_its_values_and_differ() -> None:
    ids = torch.tensor([[3, 9, 4, 1, 7, 2, 8, 5]])
    example = read_example(
        (torch.zeros(1, 3, 4), {"ids": ids, "mask": torch.ones(1, 8, dtype=torch.bool)}, 0.5), "net.py:f"
    )
    made = maker(example=example)(9)
    image, more, mask = made.tensors
    assert image.shape == (9, 3, 4)
    assert image.std() > 0.5, "zeros are an example of a shape alone"
    assert torch.equal(more[0], ids[0])
    assert all(sorted(row.tolist()) == sorted(ids[0].tolist()) for row in more)
    assert more.unique(dim=0).shape[0] > 5
    assert mask.all()
    assert made.args[2] == 0.5
    drawn = maker(example=read_example(torch.rand(2, 50) + 4, "n"))(6).tensors[0]
    assert drawn.min() >= 4
    assert drawn.max() <= 5


def test_examples_by_place_by_name_or_both_and_lists_of_images() -> None:
    x, table = torch.rand(2, 3), torch.rand(5)
    assert len(read_example([x, table], "n").tensors) == 1, "a tensor that is not as long is the same for all items"
    assert set(read_example({"x": x}, "n").kwargs) == {"x"}
    both = read_example(((x,), {"y": x}), "n")
    assert (len(both.args), set(both.kwargs)) == (1, {"y"})
    images = read_example(([torch.rand(3, 8, 8), torch.rand(3, 8, 8)],), "n")
    assert images.tensors[0].shape == (2, 3, 8, 8)
    assert isinstance(images.call(lambda given: given), list)
    with pytest.raises(
        BadInputError, match=r"the example inputs of 'net.py:f' hold no tensor with items; it gives str"
    ):
        read_example("3x224x224", "net.py:f")
