"""Images with classes to finetune on: scikit-learn's handwritten digits, or the user's own, one folder a class."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from workloads.base import BadInputError
from workloads.images.files import (
    MAX_PIXEL_BYTES,
    Encoded,
    Listing,
    check_folder,
    decoded,
    folder_name,
    list_images,
    to_jpeg,
)

MAX_LABELLED = 10_000
"""Images of classes that are kept in memory; enough to measure a training by."""
HELD_OUT_SHARE = 0.2
DIGITS_SOURCE = "scikit-learn handwritten digits"


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images with classes, in memory, split for training and holding out.

    Attributes:
        train: uint8, n x 3 x size x size.
        train_labels: int64, n.
        heldout: uint8, m x 3 x size x size.
        heldout_labels: int64, m.
        classes: Names, in order of label.
        source: Where they come from, without a path.
        n_skipped: Files that did not decode.
        train_encoded: The training images as they are stored, n; empty where they were not asked for.
    """

    train: torch.Tensor
    train_labels: torch.Tensor
    heldout: torch.Tensor
    heldout_labels: torch.Tensor
    classes: tuple[str, ...]
    source: str
    n_skipped: int = 0
    train_encoded: tuple[Encoded, ...] = ()


def _split(labels: torch.Tensor, seed: int) -> tuple[Any, Any]:
    """Indices of the training and of the held-out items; every class is in both where it has enough items."""
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels.numpy())
    stratify = labels.numpy() if counts[counts > 0].min() >= 2 and len(labels) * HELD_OUT_SHARE >= len(counts) else None
    train, heldout = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_SHARE, stratify=stratify, random_state=seed
    )
    return train, heldout


def load_digits(size: int, seed: int, *, is_encoded: bool = False) -> LabelledImages:
    """scikit-learn's 1,797 handwritten digits (8 x 8 pixels, 17 greys), enlarged to size x size in three channels."""
    from sklearn.datasets import load_digits as load
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    digits = load()
    pixels = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
    images = F.resize(pixels, [size, size], antialias=True).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    images, labels = images.contiguous(), torch.from_numpy(digits.target).long()
    train, heldout = _split(labels, seed)
    jpegs = (to_jpeg(Image.fromarray(images[i].permute(1, 2, 0).numpy())) for i in (train if is_encoded else ()))
    return LabelledImages(
        train=images[train], train_labels=labels[train], heldout=images[heldout], heldout_labels=labels[heldout],
        classes=tuple(str(c) for c in digits.target_names), source=DIGITS_SOURCE, train_encoded=tuple(jpegs),
    )  # fmt: skip


def _class_folders(folder: Path) -> list[Path]:
    """The sub-folders of a folder, by name; not hidden ones, nor a link that leads back up."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if not e.name.startswith(".") and os.path.isdir(e.path))
    except OSError as error:
        raise BadInputError(f"--data: {str(folder)!r} cannot be read ({error.strerror})") from error
    real = os.path.realpath(folder)
    above = {real, *map(str, Path(real).parents)}
    return [folder / name for name in names if os.path.realpath(folder / name) not in above]


def check_image_folder(folder: Path) -> list[str]:
    """The classes of a folder with one sub-folder per class; files that are no images are named, some of them.

    Raises:
        BadInputError: If it is none, or has fewer than two classes, or a class without images.
    """
    if not os.path.isdir(folder):
        raise BadInputError(f"--data: {str(folder)!r} is not a folder")
    folders = _class_folders(folder)
    if len(folders) < 2:
        raise BadInputError(f"--data: {str(folder)!r} has {len(folders)} class folders; two or more are needed")
    for part in folders:
        check_folder(part, "data")
    return [part.name for part in folders]


def _evenly(paths: Sequence[Path], n: int) -> list[Path]:
    """So many of the paths, spread over all of them: neighbours by name are often alike."""
    return [paths[i * len(paths) // n] for i in range(n)] if n < len(paths) else list(paths)


@functools.lru_cache(maxsize=1)
def load_image_folder(folder: Path, size: int, seed: int) -> LabelledImages:
    """The user's images, one folder per class, resized to size x size; a fifth is held out.

    At most ``MAX_LABELLED`` of them, and no more pixels than ``MAX_PIXEL_BYTES``, of each class its share; the source
    says so.

    Raises:
        BadInputError: See ``check_image_folder``; also if a class has no image that decodes.
    """
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    classes = check_image_folder(folder)
    listings = [list_images(folder / name, "data") for name in classes]
    everything = Listing(
        paths=tuple(path for listing in listings for path in listing.paths),
        is_whole=all(listing.is_whole for listing in listings),
    )
    share = min(1.0, MAX_LABELLED / len(everything.paths), MAX_PIXEL_BYTES / (3 * size**2 * len(everything.paths)))
    images: list[torch.Tensor] = []
    used: list[Path] = []
    numbers: list[int] = []
    n_skipped = 0
    for label, (name, listing) in enumerate(zip(classes, listings, strict=True)):
        before = len(images)
        for path in _evenly(listing.paths, max(2, int(share * len(listing.paths)))):
            found = decoded(path)
            if found is None:
                n_skipped += 1
                continue
            images.append(F.resize(found[0], [size, size], antialias=True))
            used.append(path)
            numbers.append(label)
        if len(images) == before:
            raise BadInputError(f"--data: no image of class {name!r} decodes")
    pixels, labels = torch.stack(images), torch.tensor(numbers)
    train, heldout = _split(labels, seed)
    return LabelledImages(
        train=pixels[train], train_labels=labels[train], heldout=pixels[heldout], heldout_labels=labels[heldout],
        classes=tuple(classes), train_encoded=tuple(used[i] for i in train),
        source=f"folder {folder_name(folder)}{everything.told(len(images) + n_skipped)}", n_skipped=n_skipped,
    )  # fmt: skip
