"""Small images and folders of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def noise_image(path: Path, seed: int = 0, size: int = 24) -> Path:
    """An image file of noise, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def class_folder(folder: Path, names: tuple[str, ...] = ("cat", "dog"), n: int = 3) -> Path:
    """A folder with a sub-folder of images for each class."""
    for name in names:
        for i in range(n):
            noise_image(folder / name / f"{i}.png", i)
    return folder
