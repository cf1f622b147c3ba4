"""Real input: photographs and handwritten digits that ship in scikit-learn, or the user's own images."""

from __future__ import annotations

import functools
import io
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


Encoded = bytes | Path
"""An image as the bytes of a JPEG file, or as a file to read."""


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


def _to_rgb(image: Image.Image) -> Image.Image:
    """The image in three channels of 8 bits, whatever its mode."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 and 32 bits: to the range of 8
        wide = np.asarray(image, dtype=np.float64)
        image = Image.fromarray((wide * (255 / max(1.0, wide.max()))).astype(np.uint8))
    return image.convert("RGB")


def _to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _to_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _decode(path: Path) -> tuple[torch.Tensor, bytes]:
    """An image file as an RGB tensor and as JPEG bytes."""
    content = path.read_bytes()
    with Image.open(io.BytesIO(content)) as image:
        is_plain = image.format == "JPEG" and image.mode == "RGB"
        rgb = _to_rgb(image)
    return _to_tensor(rgb), content if is_plain else _to_jpeg(rgb)


def content_of(encoded: Encoded) -> bytes:
    """The bytes of an image file."""
    return encoded if isinstance(encoded, bytes) else encoded.read_bytes()


def decode_resized(encoded: Encoded, size: int) -> torch.Tensor:
    """An image file, or the bytes of one, as uint8 3 x size x size; antialiased."""
    content = content_of(encoded)
    with Image.open(io.BytesIO(content)) as image:
        return _to_tensor(_to_rgb(image).resize((size, size), Image.Resampling.BILINEAR))


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


def _split(labels: torch.Tensor, seed: int) -> tuple[np.ndarray, np.ndarray]:
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
    jpegs = (_to_jpeg(Image.fromarray(images[i].permute(1, 2, 0).numpy())) for i in (train if is_encoded else ()))
    return LabelledImages(
        train=images[train], train_labels=labels[train], heldout=images[heldout], heldout_labels=labels[heldout],
        classes=tuple(str(c) for c in digits.target_names), source=DIGITS_SOURCE, train_encoded=tuple(jpegs),
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
    paths: list[Path] = []
    numbers: list[int] = []
    n_skipped = 0
    for label, name in enumerate(classes):
        before = len(images)
        for path in list_images(folder / name, "data"):
            try:
                image = decode_resized(path, size)
            except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                n_skipped += 1
                log.warning("skipped %r, which does not decode: %s", path.name, str(error)[:120])
                continue
            images.append(image)
            paths.append(path)
            numbers.append(label)
        if len(images) == before:
            raise BadInputError(f"--data: no image of class {name!r} decodes")
    pixels, labels = torch.stack(images), torch.tensor(numbers)
    train, heldout = _split(labels, seed)
    return LabelledImages(
        train=pixels[train], train_labels=labels[train], heldout=pixels[heldout], heldout_labels=labels[heldout],
        classes=tuple(classes), source=f"folder {folder.resolve().name}", n_skipped=n_skipped,
        train_encoded=tuple(paths[i] for i in train),
    )  # fmt: skip
