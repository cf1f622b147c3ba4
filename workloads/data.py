"""Real input: photographs and handwritten digits that ship in scikit-learn, or the user's own images."""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.base import BadInputError

log = logging.getLogger(__name__)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
MAX_PHOTOGRAPHS = 512
"""Of a large folder the first this many are kept in memory; batches repeat them with other crops."""
JPEG_QUALITY = 92
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


def list_images(folder: Path, option: str) -> list[Path]:
    """The image files under a folder, in order of name; a folder that links to itself is entered once.

    Raises:
        BadInputError: If the folder is none, cannot be read, or holds no image.
    """
    if not folder.is_dir():
        raise BadInputError(f"--{option}: {str(folder)!r} is not a folder")
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):  # does not follow symbolic links to folders
        folders.sort()
        found += [Path(parent, name) for name in sorted(files) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        raise BadInputError(f"--{option}: {str(folder)!r} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return found


def _decode(path: Path) -> tuple[torch.Tensor, bytes]:
    """An image file as an RGB tensor and as JPEG bytes, whatever its mode."""
    import io

    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as opened:
        image: Image.Image = opened
        is_plain = image.format == "JPEG" and image.mode == "RGB"
        if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bits: to the range of 8
            wide = np.asarray(image, dtype=np.float64)
            image = Image.fromarray((wide * (255 / max(1.0, wide.max()))).astype(np.uint8))
        rgb = image.convert("RGB")
    if not is_plain:
        buffer = io.BytesIO()
        rgb.save(buffer, "JPEG", quality=JPEG_QUALITY)
        content = buffer.getvalue()
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous(), content


def _sample_paths() -> list[Path]:
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    return sorted(folder.glob("*.jpg"))


@functools.lru_cache(maxsize=2)
def load_photographs(folder: Path | None = None) -> Photographs:
    """The user's photographs, or the two that scikit-learn ships (427 x 640 pixels).

    Raises:
        BadInputError: If the folder cannot be used or none of its images decodes.
    """
    paths = _sample_paths() if folder is None else list_images(folder, "images")
    images, jpegs, n_skipped = [], [], 0
    for path in paths[:MAX_PHOTOGRAPHS]:
        try:
            image, jpeg = _decode(path)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            n_skipped += 1
            log.warning("skipped %r, which does not decode: %s", path.name, str(error)[:120])
            continue
        images.append(image)
        jpegs.append(jpeg)
    if not images:
        raise BadInputError(f"--images: none of the {n_skipped} images in {str(folder)!r} decodes")
    source = PHOTOGRAPHS_SOURCE if folder is None else f"folder {folder.resolve().name}"
    return Photographs(images=tuple(images), jpegs=tuple(jpegs), source=source, n_skipped=n_skipped)


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
    """

    train: torch.Tensor
    train_labels: torch.Tensor
    heldout: torch.Tensor
    heldout_labels: torch.Tensor
    classes: tuple[str, ...]
    source: str
    n_skipped: int = 0


def _split(images: torch.Tensor, labels: torch.Tensor, seed: int) -> tuple[torch.Tensor, ...]:
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels.numpy())
    stratify = labels.numpy() if counts[counts > 0].min() >= 2 and len(labels) * HELD_OUT_SHARE >= len(counts) else None
    train, heldout = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_SHARE, stratify=stratify, random_state=seed
    )
    return images[train], labels[train], images[heldout], labels[heldout]


def load_digits(size: int, seed: int) -> LabelledImages:
    """scikit-learn's 1,797 handwritten digits (8 x 8 pixels, 17 greys), enlarged to size x size in three channels."""
    from sklearn.datasets import load_digits as load

    digits = load()
    pixels = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
    images = F.resize(pixels, [size, size], antialias=True).round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    parts = _split(images.contiguous(), torch.from_numpy(digits.target).long(), seed)
    return LabelledImages(
        train=parts[0], train_labels=parts[1], heldout=parts[2], heldout_labels=parts[3],
        classes=tuple(str(c) for c in digits.target_names), source=DIGITS_SOURCE,
    )  # fmt: skip


def check_image_folder(folder: Path) -> list[str]:
    """The classes of a folder with one sub-folder per class.

    Raises:
        BadInputError: If it is none, or has fewer than two classes, or a class without images.
    """
    if not folder.is_dir():
        raise BadInputError(f"--data: {str(folder)!r} is not a folder")
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(classes) < 2:
        raise BadInputError(f"--data: {str(folder)!r} has {len(classes)} class folders; two or more are needed")
    for name in classes:
        list_images(folder / name, "data")
    return classes


def load_image_folder(folder: Path, size: int, seed: int) -> LabelledImages:
    """The user's images, one folder per class, resized to size x size; a fifth is held out.

    Raises:
        BadInputError: See ``check_image_folder``; also if a class has no image that decodes.
    """
    classes = check_image_folder(folder)
    images: list[torch.Tensor] = []
    labels: list[int] = []
    n_skipped = 0
    for label, name in enumerate(classes):
        before = len(images)
        for path in list_images(folder / name, "data"):
            try:
                image = _decode(path)[0]
            except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                n_skipped += 1
                log.warning("skipped %r, which does not decode: %s", path.name, str(error)[:120])
                continue
            images.append(F.resize(image, [size, size], antialias=True))
            labels.append(label)
        if len(images) == before:
            raise BadInputError(f"--data: no image of class {name!r} decodes")
    parts = _split(torch.stack(images), torch.tensor(labels), seed)
    return LabelledImages(
        train=parts[0], train_labels=parts[1], heldout=parts[2], heldout_labels=parts[3],
        classes=tuple(classes), source=f"folder {folder.resolve().name}", n_skipped=n_skipped,
    )  # fmt: skip
