"""Images as a camera stores them: pixels turned, and EXIF saying how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

STORED_AS = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, -1),
}  # fmt: skip
"""How upright pixels lie in a file of each of EXIF's orientations (EXIF 2.3, tag 274)."""


def upright() -> np.ndarray:
    """64 x 96 pixels whose four corners differ: blocks of flat colours, which JPEG keeps."""
    blocks = np.zeros((4, 6, 3), np.uint8)
    blocks[0, 0], blocks[0, -1], blocks[-1, 0], blocks[-1, -1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
    return blocks.repeat(16, 0).repeat(16, 1)


def stored(path: Path, orientation: int, **options: object) -> Path:
    """A file that shows ``upright`` to whoever heeds its orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    pixels = np.ascontiguousarray(STORED_AS[orientation](upright()))
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return path
