"""Images with classes to finetune on: scikit-learn's handwritten digits, or the user's own, one folder a class."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from workloads.base import BadInputError
from workloads.images.classes import find_classes
from workloads.images.files import MAX_PIXEL_BYTES, Encoded, Skipped, those_that_decode, to_jpeg
from workloads.images.folders import Listing, folder_name, together
from workloads.runtime.without_compiler import import_torchvision

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
        left_out: What else the folder holds, which was not read, in words.
        train_encoded: The training images as they are stored, n; empty where they were not asked for.
    """

    train: torch.Tensor
    train_labels: torch.Tensor
    heldout: torch.Tensor
    heldout_labels: torch.Tensor
    classes: tuple[str, ...]
    source: str
    n_skipped: int = 0
    left_out: str | None = None
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


N_DIGITS_IMAGES = 1797
"""Of scikit-learn's data set (its documentation)."""


def load_digits(size: int, seed: int, *, is_encoded: bool = False) -> LabelledImages:
    """scikit-learn's 1,797 handwritten digits (8 x 8 pixels, 17 greys), enlarged to size x size in three channels."""
    import_torchvision()
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


def _evenly(paths: Sequence[Path], n: int) -> list[Path]:
    """All of the paths, begun with so many that are spread over them: neighbours by name are often alike."""
    first = [paths[i * len(paths) // n] for i in range(n)] if n < len(paths) else list(paths)
    return [*first, *sorted(set(paths).difference(first))]


@dataclass(kw_only=True)
class _Part:
    """Images decoded so far: resized pixels, labels, and the files that they came from."""

    images: list[torch.Tensor] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    used: list[Path] = field(default_factory=list)

    def read(self, listing: Listing, label: int, share: float, size: int, skipped: Skipped) -> int:
        """Add a share of a class's images, of those that decode; how many it is."""
        import_torchvision()
        from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

        n = max(2, int(share * len(listing.paths)))
        found = itertools.islice(those_that_decode(_evenly(listing.paths, n), skipped), n)
        before = len(self.images)
        for path, image, _ in found:
            self.images.append(F.resize(image, [size, size], antialias=True))
            self.labels.append(label)
            self.used.append(path)
        return len(self.images) - before

    def at(self, indices: Any) -> tuple[torch.Tensor, torch.Tensor, tuple[Path, ...]]:
        """Pixels, labels and files of some of them."""
        labels = torch.tensor(self.labels)
        return torch.stack([self.images[i] for i in indices]), labels[indices], tuple(self.used[i] for i in indices)


@functools.lru_cache(maxsize=1)
def load_image_folder(folder: Path, size: int, seed: int) -> LabelledImages:
    """The user's images, one folder per class, resized to size x size; a fifth is held out, or the split's own part.

    At most ``MAX_LABELLED`` of them, and no more pixels than ``MAX_PIXEL_BYTES``, of each class its share; the source
    says so.

    Raises:
        BadInputError: See ``find_classes``; also if a class has no image that decodes.
    """
    found, skipped = find_classes(folder), Skipped()
    listings = {part: found.listings(part) for part in found.parts}
    everything = together([listing for by_class in listings.values() for listing in by_class.values()])
    share = min(1.0, MAX_LABELLED / len(everything.paths), MAX_PIXEL_BYTES / (3 * size**2 * len(everything.paths)))
    parts = []
    for folder_of_part, by_class in listings.items():
        part = _Part()
        for name, listing in by_class.items():
            n_skipped = skipped.n
            if not part.read(listing, found.classes.index(name), share, size, skipped):
                reason = f"; the first skipped: {skipped.first}" if n_skipped == 0 else ""
                raise BadInputError(f"--data: no image of class {name!r} in {folder_of_part.name!r} decodes{reason}")
        parts.append(part)
    train, heldout = parts[0], parts[-1]
    indices = (range(len(train.labels)), range(len(heldout.labels)))
    if found.heldout is None:
        indices = _split(torch.tensor(train.labels), seed)
    pixels, labels, used = train.at(indices[0])
    heldout_pixels, heldout_labels, _ = heldout.at(indices[1])
    n_used = sum(len(part.images) for part in parts)
    return LabelledImages(
        train=pixels, train_labels=labels, heldout=heldout_pixels, heldout_labels=heldout_labels,
        classes=found.classes, train_encoded=used, n_skipped=skipped.n, left_out=found.left_out(everything),
        source=f"folder {folder_name(folder)}{everything.told(n_used + skipped.n)}{found.split_told}",
    )  # fmt: skip
