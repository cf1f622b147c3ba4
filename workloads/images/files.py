"""One image file of the user: decoded whatever it holds, upright as its camera was held."""

from __future__ import annotations

import contextlib
import io
import logging
import stat
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image, ImageOps

from workloads.runtime.late import late
from workloads.runtime.lookalikes import HEAD_BYTES, told_by_head
from workloads.runtime.words import in_short

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")

log = logging.getLogger(__name__)
MAX_PIXEL_BYTES = 2**30
"""Bytes of pixels kept in memory."""
MAX_NAMED = 10
"""Files that do not decode are named, so many at most; all are counted."""
JPEG_QUALITY = 92
UPRIGHT = 1
Encoded = bytes | Path
"""An image as the bytes of a file, or as a file to read."""


class NotAnImageError(Exception):
    """The file is something else, which the message names."""


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """No word of images over 89 million pixels, of which PIL refuses those over twice as many, nor of broken EXIF."""
    with warnings.catch_warnings():
        for category in (RuntimeWarning, UserWarning):  # of deprecations we want to hear
            warnings.simplefilter("ignore", category)
        yield


def _open(path: Path) -> bytes:
    """A regular file's bytes; a pipe or a device named as an image would be read for ever.

    Raises:
        OSError: If it is none, or cannot be read.
        NotAnImageError: If it is known for something else.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("is not a regular file")
    with path.open("rb") as file:
        what = told_by_head(file.read(HEAD_BYTES))
    if what is not None:
        raise NotAnImageError(f"is {what}")
    # Only the header is read here: what is no image is not read to its end.
    with _unwarned(), Image.open(path):
        pass
    return path.read_bytes()


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation of a loaded image, 1 to 8; 1 (upright) where none, or no such, is told."""
    try:
        told = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # a broken EXIF block says nothing against the pixels
        return UPRIGHT
    return told if isinstance(told, int) and 1 <= told <= 8 else UPRIGHT


def _rgb(encoded: Encoded) -> tuple[Image.Image, bytes | None]:
    """An image as RGB and upright, and its own bytes where they are a JPEG of just these pixels."""
    content = encoded if isinstance(encoded, bytes) else _open(encoded)
    with _unwarned(), Image.open(io.BytesIO(content)) as opened:
        opened.load()  # PIL turns a TIFF upright as it loads it, and tells its orientation anew
        image: Image.Image = opened
        is_plain = image.format == "JPEG" and image.mode == "RGB"
        if _orientation(image) != UPRIGHT:
            # Other decoders, a device's among them, know nothing of EXIF: they are handed upright pixels.
            image, is_plain = ImageOps.exif_transpose(image), False
        if image.mode.startswith("I") or image.mode == "F":
            wide = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0).clip(min=0.0)
            image = Image.fromarray((wide * (255 / max(1.0, wide.max()))).astype(np.uint8))
        return image.convert("RGB"), content if is_plain else None


def _as_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def decode_pixels(encoded: Encoded) -> torch.Tensor:
    """``decode`` without the bytes."""
    return _as_tensor(_rgb(encoded)[0])


def decode(encoded: Encoded) -> tuple[torch.Tensor, bytes]:
    """An image file, or the bytes of one, as RGB (uint8, 3 x height x width) and as JPEG bytes, whatever its mode.

    Both are turned as EXIF's orientation says. Of an animation the first frame; transparency is dropped; 16 and 32 bits
    are brought to the range of 8.

    Raises:
        Exception: PIL's decoders raise whatever they meet, IndexError, struct.error and SyntaxError among them.
    """
    rgb, content = _rgb(encoded)
    return _as_tensor(rgb), to_jpeg(rgb) if content is None else content


def to_jpeg(image: Image.Image) -> bytes:
    """An RGB image as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


class Skipped:
    """Files that did not decode.

    Attributes:
        n: How many.
        first: Name and reason of the first; empty while there is none.
    """

    def __init__(self) -> None:
        self.n = 0
        self.first = ""

    def note(self, path: Path, error: Exception) -> None:
        """Count a file; the first few are named in the log."""
        reason = str(error).replace(str(path), path.name) or type(error).__name__
        shown = ascii(in_short(reason, 120))[1:-1]
        self.n += 1
        self.first = self.first or f"{path.name!r} {shown}"
        if self.n <= MAX_NAMED:
            log.warning("skipped %r, which does not decode: %s", path.name, shown)
        if self.n == MAX_NAMED + 1:
            log.warning("further files that do not decode are counted, not named")


def those_that_decode(paths: Iterable[Path], skipped: Skipped) -> Iterator[tuple[Path, torch.Tensor, bytes]]:
    """Each file that decodes, with what ``decode`` makes of it; the others are noted in ``skipped``.

    Raises:
        MemoryError: If the memory does not hold an image, which says nothing against the file.
    """
    for path in paths:
        try:
            image, jpeg = decode(path)
        except MemoryError:
            raise
        except Exception as error:  # see ``decode``: a broken file is skipped, whatever the decoder makes of it
            skipped.note(path, error)
        else:
            yield path, image, jpeg
