"""Real input: photographs and handwritten digits that ship in scikit-learn, or the user's own images."""

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
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.base import BadInputError
from workloads.files import Encoded, Listing, check_folder, decoded, folder_name, list_images, to_jpeg

MAX_PHOTOGRAPHS = 512
"""Of a large folder the first this many are kept in memory; batches repeat them with other crops."""
MAX_LABELLED = 10_000
"""Images of classes that are kept in memory; enough to measure a training by."""
MAX_PIXEL_BYTES = 2**30
"""Bytes of pixels kept in memory."""
MAX_ASPECT = 8
HELD_OUT_SHARE = 0.2
DIGITS_SOURCE = "scikit-learn handwritten digits"
PHOTOGRAPHS_SOURCE = "scikit-learn photographs"


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Photographs in memory.

    Attributes:
        images: Each uint8, 3 x height x width, RGB.
        jpegs: The same as JPEG files; the original bytes where the file is an RGB JPEG.
        source: Where they come from, without a path.
        n_skipped: Files that did not decode.
    """

    images: tuple[torch.Tensor, ...]
    jpegs: tuple[bytes, ...]
    source: str
    n_skipped: int = 0


def _sample_paths() -> list[Path]:
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return sorted(folder.glob("*.jpg"))


def check_photographs(folder: Path) -> None:
    """Check that a folder holds a photograph that decodes; of those to be used, the ones that do not are named.

    Raises:
        BadInputError: If the folder cannot be used or none of its images decodes.
    """
    n_pixel_bytes = n_good = 0
    paths = list_images(folder, "images").paths[:MAX_PHOTOGRAPHS]
    for path in paths:
        found = decoded(path)  # not kept: the driver has no use for them
        n_good += found is not None
        n_pixel_bytes += 0 if found is None else found[0].numel()
        if n_pixel_bytes >= MAX_PIXEL_BYTES:
            break
    if not n_good:
        raise BadInputError(f"--images: none of the {len(paths)} images in {str(folder)!r} decodes")


@functools.lru_cache(maxsize=2)
def load_photographs(folder: Path | None = None) -> Photographs:
    """The user's photographs, or the two that scikit-learn ships (427 x 640 pixels).

    Of a large folder the first ``MAX_PHOTOGRAPHS``, and no more pixels than ``MAX_PIXEL_BYTES``; the source says so.

    Raises:
        BadInputError: If the folder cannot be used or none of its images decodes.
    """
    listing = Listing(paths=tuple(_sample_paths())) if folder is None else list_images(folder, "images")
    images: list[torch.Tensor] = []
    jpegs: list[bytes] = []
    n_skipped = n_pixel_bytes = 0
    for path in listing.paths[:MAX_PHOTOGRAPHS]:
        found = decoded(path)
        if found is None:
            n_skipped += 1
            continue
        images.append(found[0])
        jpegs.append(found[1])
        n_pixel_bytes += found[0].numel()
        if n_pixel_bytes >= MAX_PIXEL_BYTES:
            break
    if not images:
        raise BadInputError(f"--images: none of the {n_skipped} images in {str(folder)!r} decodes")
    source = PHOTOGRAPHS_SOURCE
    if folder is not None:
        source = f"folder {folder_name(folder)}{listing.told(len(images) + n_skipped)}"
    return Photographs(images=tuple(images), jpegs=tuple(jpegs), source=source, n_skipped=n_skipped)


def _trimmed(image: torch.Tensor) -> torch.Tensor:
    """The middle of an image that is over ``MAX_ASPECT`` times as long as wide.

    Only a square of the middle is looked at; enlarging 12,000 x 1 pixels for it would take gigabytes.
    """
    longest = MAX_ASPECT * min(image.shape[-2:])
    height, width = (min(side, longest) for side in image.shape[-2:])
    middle: torch.Tensor = F.center_crop(image, [height, width])
    return middle


def photograph_batch(photographs: Photographs, batch_size: int, size: int, seed: int) -> torch.Tensor:
    """A batch of real pixels: crops of at least a quarter of the photographs, in turns, seeded.

    The first of each photograph is its centre crop, so that a batch of one is the photograph as people
    classify it; the others differ in place, scale and mirroring, so that no two items are alike.

    Returns:
        uint8, batch x 3 x size x size.
    """
    crop = v2.RandomResizedCrop(size, scale=(0.25, 1.0), antialias=True)
    flip = v2.RandomHorizontalFlip()
    n = len(photographs.images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        items = []
        for i in range(batch_size):
            image = photographs.images[i % n]
            if i < n:
                image = _trimmed(image)
                items.append(F.center_crop(F.resize(image, [round(size / 0.875)], antialias=True), [size, size]))
            else:
                items.append(flip(crop(image)))
    return torch.stack(items)


def to_model_input(batch: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """uint8 pixels to normalised float32."""
    normalised: torch.Tensor = F.normalize(F.to_dtype(batch, torch.float32, scale=True), list(mean), list(std))
    return normalised


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
