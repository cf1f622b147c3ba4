"""Batches streamed from files against the same images held in memory."""

from __future__ import annotations

import gc
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.v2 import functional as F  # noqa: N812

from tests.workloads.conftest import prepared
from workloads.images.augment import augmented, draw_crops
from workloads.images.feeds import Ahead, resident, streamed
from workloads.images.files import decode

SIZE, N = 16, 12
CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Losslessly stored images of several shapes."""
    random, paths = np.random.default_rng(0), []
    for i in range(N):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(random.integers(0, 256, (SIZE + i % 3, SIZE, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def in_order(batch_size: int):
    position = [0]

    def indices() -> torch.Tensor:
        position[0] += batch_size
        return torch.arange(position[0] - batch_size, position[0]) % N

    return indices


def test_streamed_batches_are_those_that_lie_in_memory(files: list[Path]) -> None:
    labels = torch.arange(N)
    decoded = torch.stack([F.resize(decode(p)[0], [SIZE, SIZE], antialias=True) for p in files])
    held = Ahead(resident(decoded, labels, in_order(5)), torch.clone, CPU)
    feed = Ahead(streamed(files, labels, SIZE, in_order(5), batch_size=5, n_processes=2), torch.clone, CPU)
    kept = []
    for _ in range(7):
        expected, got = held.next(), feed.next()
        feed.prepare()
        torch.testing.assert_close(got[0], expected[0])
        torch.testing.assert_close(got[1], expected[1])
        kept.append((got[0], expected[0]))
    assert all(bool((a == b).all()) for a, b in kept), "no batch is overwritten while somebody may hold it"
    feed.close()
    gc.collect()
    assert not multiprocessing.active_children(), "the processes end with the feed"


def test_a_file_that_vanishes_is_an_error_of_the_step_not_a_hang(files: list[Path]) -> None:
    files[7].unlink()
    feed = Ahead(streamed(files, torch.arange(N), SIZE, in_order(5), batch_size=5, n_processes=2), torch.clone, CPU)
    feed.next()
    with pytest.raises(FileNotFoundError):
        feed.next()
    feed.close()


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_training_restarts_with_the_same_batches(feed: str) -> None:
    workload = prepared("finetune", model="efficientnet_lite0", batch_size=8, image_size=32, feed=(feed,))
    first = workload._feed.next()  # type: ignore[attr-defined]
    workload.restart()  # type: ignore[attr-defined]
    again = workload._feed.next()  # type: ignore[attr-defined]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    workload.step()
    workload.teardown()


def test_crops_stay_within_the_image_and_mirror_only_where_asked() -> None:
    for kind, mirrors in (("crop", False), ("crop-flip", True)):
        theta = draw_crops(500, kind, torch.Generator().manual_seed(0))
        side, shift = theta[:, 0, 0], theta[:, :, 2]
        assert (side.abs()[:, None] + shift.abs() <= 1 + 1e-6).all()
        assert side.abs().min() >= 0.8 - 1e-6
        assert bool((side < 0).any()) is mirrors


def test_crops_sample_where_torch_says_they_lie() -> None:
    batch = torch.rand(3, 3, 6, 10)
    theta = draw_crops(3, "crop-flip", torch.Generator().manual_seed(5))
    grid = nn.functional.affine_grid(theta, [3, 3, 6, 10], align_corners=False)
    expected = nn.functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(augmented(batch, "crop-flip", torch.Generator().manual_seed(5)), expected)


def test_augmentation_keeps_the_shape_and_none_keeps_the_batch() -> None:
    batch = torch.rand(4, 3, 8, 8)
    generator = torch.Generator().manual_seed(0)
    assert augmented(batch, "none", generator) is batch
    changed = augmented(batch, "crop-flip", generator)
    assert changed.shape == batch.shape
    assert not torch.allclose(changed, batch)
    assert changed.min() >= batch.min() - 1e-6
    assert changed.max() <= batch.max() + 1e-6
