"""What is compared of an image pipeline: its answers to different photographs, and how many values of each."""

from __future__ import annotations

import functools
from pathlib import Path

import torch

from workloads.images.batches import by_batches
from workloads.images.photographs import different_photographs, load_photographs
from workloads.pipelines.composed import PIPELINES, draw_parameters

HEIGHT, WIDTH = 427, 640
"""Every photograph is brought to this size once, before the clock runs, so that they form a batch."""
MAX_VALUES = 2**16
"""Of an item; 64 whole photographs in double precision would take gigabytes."""
REFERENCE_BATCH = 8


def compared_images(folder: Path | None, n: int, seed: int) -> torch.Tensor:
    """So many different photographs, uint8, n x 3 x ``HEIGHT`` x ``WIDTH``."""
    return different_photographs(load_photographs(folder), n, (HEIGHT, WIDTH), seed)


def sampled(answers: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """At most ``MAX_VALUES`` of each answer, evenly spaced, from another place on in each item.

    Among as many items as the spacing is wide every place of an image is looked at, its borders too.

    Args:
        answers: Items x ...
        index: Which items they are, on the CPU.

    Returns:
        Items x values x 1: two dimensions would be taken for classes.
    """
    flat = answers.flatten(1)
    n_values = flat.shape[1]
    spacing = -(-n_values // MAX_VALUES)
    steps = torch.arange(0, n_values, spacing)
    places = (index[:, None] % spacing + steps) % n_values
    return flat.gather(1, places.to(flat.device))[..., None]


@functools.lru_cache(maxsize=8)
def reference_values(pipeline: str, folder: Path | None, n: int, seed: int) -> torch.Tensor:
    """What the pipeline as torchvision composes it makes of ``compared_images`` on the CPU in float32, ``sampled``."""
    images = compared_images(folder, n, seed)
    parameters = draw_parameters(HEIGHT, WIDTH, seed)

    def answers(index: torch.Tensor) -> torch.Tensor:
        return sampled(PIPELINES[pipeline](images[index], parameters, torch.float32), index)

    with torch.inference_mode():
        return by_batches(answers, n, min(n, REFERENCE_BATCH))
