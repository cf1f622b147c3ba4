"""Real input: the photographs that ship in scikit-learn, or the user's own."""

from __future__ import annotations

import functools
import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workloads.base import BadInputError
from workloads.images.files import MAX_PIXEL_BYTES, Skipped, those_that_decode
from workloads.images.folders import Listing, folder_name, list_images, tell_left_out
from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")

MAX_PHOTOGRAPHS = 512
"""Of a large folder the first this many that decode are kept in memory; batches repeat them with other crops."""
MAX_KEPT_BYTES = 160 * 2**20
"""Larger batches of photographs are made anew for each cell."""
MAX_ASPECT = 8
PHOTOGRAPHS_SOURCE = "scikit-learn photographs"


@dataclass(frozen=True, kw_only=True)
class Photographs:
    """Photographs in memory.

    Attributes:
        images: Each uint8, 3 x height x width, RGB.
        jpegs: The same as JPEG files; the original bytes where the file is an RGB JPEG.
        source: Where they come from, without a path.
        n_skipped: Files that did not decode.
        left_out: What else the folder holds, which was not read, in words.
    """

    images: tuple[torch.Tensor, ...]
    jpegs: tuple[bytes, ...]
    source: str
    n_skipped: int = 0
    left_out: str | None = None


def _sample_paths() -> list[Path]:
    package = importlib.util.find_spec("sklearn")  # importing it takes half a second, and only its files are wanted
    assert package is not None
    assert package.origin is not None
    return sorted((Path(package.origin).parent / "datasets" / "images").glob("*.jpg"))


def _few(paths: Iterable[Path], skipped: Skipped) -> Iterator[tuple[torch.Tensor, bytes]]:
    """Photographs that decode, until there are as many, or as many pixels, as are kept."""
    n_pixel_bytes = 0
    for _, image, jpeg in itertools.islice(those_that_decode(paths, skipped), MAX_PHOTOGRAPHS):
        yield image, jpeg
        n_pixel_bytes += image.numel()
        if n_pixel_bytes >= MAX_PIXEL_BYTES:
            return


def _none_decodes(folder: Path | None, skipped: Skipped) -> BadInputError:
    which = f"none of the {skipped.n} images in {str(folder)!r} decodes"
    return BadInputError(f"--images: {which}; the first: {skipped.first}")


def check_photographs(folder: Path) -> None:
    """Check that a folder holds a photograph that decodes; of those to be used, the ones that do not are named.

    Raises:
        BadInputError: If the folder cannot be used or none of its images decodes.
    """
    listing, skipped = list_images(folder, "images"), Skipped()
    tell_left_out(folder, listing.left_out)
    if not sum(1 for _ in _few(listing.paths, skipped)):  # not kept: the driver has no use for them
        raise _none_decodes(folder, skipped)


@functools.lru_cache(maxsize=2)
def load_photographs(folder: Path | None = None) -> Photographs:
    """The user's photographs, or the two that scikit-learn ships (427 x 640 pixels).

    Of a large folder the first ``MAX_PHOTOGRAPHS`` that decode, and no more pixels than ``MAX_PIXEL_BYTES``; the source
    says so.

    Raises:
        BadInputError: If the folder cannot be used or none of its images decodes.
    """
    listing = Listing(paths=tuple(_sample_paths())) if folder is None else list_images(folder, "images")
    skipped = Skipped()
    found = list(_few(listing.paths, skipped))
    if not found:
        raise _none_decodes(folder, skipped)
    source = PHOTOGRAPHS_SOURCE
    if folder is not None:
        source = f"folder {folder_name(folder)}{listing.told(len(found) + skipped.n)}"
    return Photographs(
        images=tuple(image for image, _ in found), jpegs=tuple(jpeg for _, jpeg in found), source=source,
        n_skipped=skipped.n, left_out=listing.left_out,
    )  # fmt: skip


def _trimmed(image: torch.Tensor) -> torch.Tensor:
    """The middle of an image that is over ``MAX_ASPECT`` times as long as wide.

    Only a square of the middle is looked at; enlarging 12,000 x 1 pixels for it would take gigabytes.
    """
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    longest = MAX_ASPECT * min(image.shape[-2:])
    height, width = (min(side, longest) for side in image.shape[-2:])
    middle: torch.Tensor = F.center_crop(image, [height, width])
    return middle


def photograph_batch(photographs: Photographs, batch_size: int, size: int, seed: int) -> torch.Tensor:
    """``make_photograph_batch``, the last few kept: most cells of a grid ask for the same batch. Not to be changed."""
    is_small = 3 * size**2 * batch_size <= MAX_KEPT_BYTES
    return (_kept_batch if is_small else make_photograph_batch)(photographs, batch_size, size, seed)


def make_photograph_batch(photographs: Photographs, batch_size: int, size: int, seed: int) -> torch.Tensor:
    """A batch of real pixels: crops of at least a quarter of the photographs, in turns, seeded.

    The first of each photograph is its centre crop, so that a batch of one is the photograph as people
    classify it; the others differ in place, scale and mirroring, so that no two items are alike.

    Returns:
        uint8, batch x 3 x size x size.
    """
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    whole = [
        F.center_crop(F.resize(_trimmed(image), [round(size / 0.875)], antialias=True), [size, size])
        for image in photographs.images[:batch_size]
    ]
    return _with_crops(whole, photographs, batch_size, (size, size), seed)


def different_photographs(photographs: Photographs, n: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    """So many different images of one size: the photographs, then crops of at least a quarter of them, seeded.

    Args:
        photographs: Each of any size.
        n: Images.
        size: Height and width.
        seed: Of place, scale and mirroring of the crops.

    Returns:
        uint8, n x 3 x height x width.
    """
    from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

    whole = [F.resize(image, list(size), antialias=True) for image in photographs.images[:n]]
    return _with_crops(whole, photographs, n, size, seed)


def _with_crops(
    whole: list[torch.Tensor], photographs: Photographs, n: int, size: tuple[int, int], seed: int
) -> torch.Tensor:
    """Images of one size, and after them crops of the photographs, in turns, seeded, until there are so many."""
    from torchvision.transforms import v2

    images = photographs.images
    crop = v2.Compose([v2.RandomResizedCrop(size, scale=(0.25, 1.0), antialias=True), v2.RandomHorizontalFlip()])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([*whole, *(crop(images[i % len(images)]) for i in range(len(whole), n))])


_kept_batch = functools.lru_cache(maxsize=4)(make_photograph_batch)
