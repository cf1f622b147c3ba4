"""What is compared of an image pipeline: its answers to different photographs, and how many values of each."""

from __future__ import annotations

from collections.abc import Hashable
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


_known: dict[Hashable, torch.Tensor] = {}
MAX_KNOWN = 8


def reference_values(pipeline: str, images: torch.Tensor, seed: int, which: Hashable) -> torch.Tensor:
    """What the pipeline as torchvision composes it makes of images on the CPU in float32, ``sampled``.

    Args:
        pipeline: By its name.
        images: Of ``compared_images``.
        seed: Of the pipeline's parameters.
        which: What tells these images from others; an answer to the same ones is kept.
    """
    key = (pipeline, seed, which)
    if key in _known:
        return _known[key]
    parameters = draw_parameters(HEIGHT, WIDTH, seed)

    def answers(index: torch.Tensor) -> torch.Tensor:
        return sampled(PIPELINES[pipeline](images[index], parameters, torch.float32), index)

    while len(_known) >= MAX_KNOWN:
        _known.pop(next(iter(_known)))
    with torch.inference_mode():
        _known[key] = by_batches(answers, len(images), min(len(images), REFERENCE_BATCH))
    return _known[key]
