"""The user's image files: found in any folder, however large or twisted, and decoded whatever they hold."""

from __future__ import annotations

import io
import itertools
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from workloads.base import BadInputError

log = logging.getLogger(__name__)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
MAX_LISTED = 100_000
"""Images that are looked for in one folder; of a larger one the rest is left alone, and the row says so."""
MAX_ENTRIES = 2 * MAX_LISTED
"""Names read of one folder, images or not. Of more than that which are read is the file system's choice."""
MAX_PIXEL_BYTES = 2**30
"""Bytes of pixels kept in memory."""
JPEG_QUALITY = 92
Encoded = bytes | Path
"""An image as the bytes of a file, or as a file to read."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The image files under a folder.

    Attributes:
        paths: In order of folder and name.
        is_whole: Every file was looked at.
    """

    paths: tuple[Path, ...]
    is_whole: bool = True

    def told(self, n_used: int) -> str:
        """How many of the images are used, in words; empty if all are."""
        n = f"{len(self.paths):,}" if self.is_whole else f"over {len(self.paths):,}"
        return "" if self.is_whole and n_used >= len(self.paths) else f" ({n_used:,} of {n} images)"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted(itertools.islice(found, MAX_ENTRIES), key=lambda entry: entry.name)


def _walk(folder: Path) -> Iterator[Path]:
    """Image files under a folder, its own first; links to folders are not followed, so that none is entered twice.

    Raises:
        OSError: If the folder itself cannot be read; those under it that cannot are named in the log and left out.
    """
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            entries = _entries(current)
        except OSError as error:
            if current == folder:
                raise
            log.warning("left out %r, which cannot be read: %s", current.name, error.strerror)
            continue
        waiting += [Path(entry.path) for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            is_image = os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
            if is_image and not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)


def check_folder(folder: Path, option: str) -> None:
    """Check that a folder holds an image, without listing more of it than that takes.

    Raises:
        BadInputError: If the folder is none, cannot be read, or holds no image.
    """
    if not os.path.isdir(folder):
        raise BadInputError(f"--{option}: {str(folder)!r} is not a folder")
    try:
        first = next(_walk(folder), None)
    except OSError as error:
        raise BadInputError(f"--{option}: {str(folder)!r} cannot be read ({error.strerror})") from error
    if first is None:
        raise BadInputError(f"--{option}: {str(folder)!r} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")


def list_images(folder: Path, option: str) -> Listing:
    """The image files under a folder, in order of name, at most ``MAX_LISTED``.

    Raises:
        BadInputError: See ``check_folder``.
    """
    check_folder(folder, option)
    paths = tuple(itertools.islice(_walk(folder), MAX_LISTED + 1))
    return Listing(paths=paths[:MAX_LISTED], is_whole=len(paths) <= MAX_LISTED)


def folder_name(folder: Path) -> str:
    """A folder's own name, which says where input came from; the home folder's name is the user's, and is not told."""
    real = os.path.realpath(folder)
    return "~" if real == os.path.realpath(os.path.expanduser("~")) else os.path.basename(real)


def _open(path: Path) -> bytes:
    """A regular file's bytes; a pipe or a device named as an image would be read for ever.

    Raises:
        OSError: If it is none, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("is not a regular file")
    with Image.open(path):  # reads the header only: what is no image is not read to its end
        pass
    return path.read_bytes()


def decode(encoded: Encoded) -> tuple[torch.Tensor, bytes]:
    """An image file, or the bytes of one, as RGB (uint8, 3 x height x width) and as JPEG bytes, whatever its mode.

    Of an animation the first frame; transparency is dropped; 16 and 32 bits are brought to the range of 8.

    Raises:
        Exception: PIL's decoders raise whatever they meet, IndexError, struct.error and SyntaxError among them.
    """
    content = encoded if isinstance(encoded, bytes) else _open(encoded)
    with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as opened:
        warnings.simplefilter("ignore")  # of images over 89 million pixels; PIL refuses those over twice as many
        image: Image.Image = opened
        is_plain = image.format == "JPEG" and image.mode == "RGB"
        if image.mode.startswith("I") or image.mode == "F":
            wide = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0).clip(min=0.0)
            image = Image.fromarray((wide * (255 / max(1.0, wide.max()))).astype(np.uint8))
        rgb = image.convert("RGB")
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1).contiguous(), content if is_plain else to_jpeg(rgb)


def to_jpeg(image: Image.Image) -> bytes:
    """An RGB image as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def decoded(path: Path) -> tuple[torch.Tensor, bytes] | None:
    """``decode``, or None for a file that does not decode, which is named in the log.

    Raises:
        MemoryError: If the memory does not hold the image, which says nothing against the file.
    """
    try:
        return decode(path)
    except MemoryError:
        raise
    except Exception as error:  # see ``decode``: a broken file is skipped, whatever the decoder makes of it
        _name_skipped(path, error)
        return None


def _name_skipped(path: Path, error: Exception) -> None:
    reason = str(error).replace(str(path), path.name) or type(error).__name__
    log.warning("skipped %r, which does not decode: %s", path.name, ascii(reason[:120])[1:-1])
