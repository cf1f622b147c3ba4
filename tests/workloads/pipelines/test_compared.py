"""What is compared of an image pipeline: all places of an image, whatever the batch size."""

from __future__ import annotations

import pytest
import torch

from tests.workloads.conftest import prepared
from workloads.images.batches import by_batches
from workloads.pipelines import compared
from workloads.pipelines.compared import compared_images, sampled


def test_among_enough_items_every_place_of_an_image_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "MAX_VALUES", 100)
    n_values = 3 * 11 * 17
    answers = torch.arange(n_values).reshape(1, 3, 11, 17).expand(6, -1, -1, -1)
    seen = sampled(answers, torch.arange(6))
    assert seen.shape == (6, 94, 1)
    assert set(seen.flatten().tolist()) == set(range(n_values))
    assert torch.equal(sampled(answers[:1], torch.tensor([4])), seen[4:5]), "the same places in a batch of another size"


def test_small_answers_are_compared_whole() -> None:
    answers = torch.rand(2, 3, 5)
    assert torch.equal(sampled(answers, torch.tensor([0, 1])), answers.flatten(1)[..., None])


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10])
def test_items_pass_in_batches_of_one_size_and_come_back_in_order(size: int) -> None:
    sizes = []

    def doubled(index: torch.Tensor) -> torch.Tensor:
        sizes.append(len(index))
        return 2 * index

    assert by_batches(doubled, 7, size).tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert set(sizes) == {size}


@pytest.mark.parametrize(("size", "n_answered"), [(1, 2), (2, 2), (3, 3), (10, 7)])
def test_answers_that_take_too_long_are_those_of_the_first_items_alone(size: int, n_answered: int) -> None:
    assert by_batches(lambda index: 2 * index, 7, size, most_s=-1.0).tolist() == [2 * i for i in range(n_answered)]


def test_a_border_that_is_wrong_in_one_column_is_found_at_any_batch_size() -> None:
    for batch_size in (1, 5):
        workload = prepared("image-processing", pipeline=("sobel",), batch_size=batch_size, n_compared=16)
        right = workload._function  # type: ignore[attr-defined]

        def wrong(batch: torch.Tensor, right: object = right) -> torch.Tensor:
            out = right(batch).clone()  # type: ignore[operator]
            out[..., -1] += 1
            return out  # type: ignore[no-any-return]

        workload._function = wrong  # type: ignore[attr-defined]
        outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
        assert (outputs - reference).abs().max() == pytest.approx(1)


def test_the_photographs_compared_all_differ() -> None:
    images = compared_images(None, 12, 0)
    assert images.shape == (12, 3, compared.HEIGHT, compared.WIDTH)
    assert len({image.numpy().tobytes() for image in images}) == 12
