"""The options of finetuning on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workloads.base import BadInputError
from workloads.images.augment import Augmentation


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    tune: tuple[Literal["head", "full"], ...] = ("full",)
    """Axis: train the last layer only, or all of the model."""
    learning_rate: tuple[float, ...] = (2e-3,)
    """Axis: AdamW's peak learning rate (one cycle: up for the first third, then down)."""
    augment: tuple[Augmentation, ...] = ("none",)
    """Axis: augmentation on the device. crop: each image gets its own crop of 64 to 100 %; crop-flip: half of them are
    mirrored as well (not for digits)."""
    feed: tuple[Literal["resident", "streamed"], ...] = ("resident",)
    """Axis. resident: images are decoded once and kept on the device; streamed: other processes decode them in every
    epoch, and they are copied before they are needed, as for images that do not fit."""
    parallel: tuple[Literal["ddp", "fsdp"], ...] = ("ddp",)
    """Axis of cells on several devices (--n-devices). ddp: each holds the whole network; fsdp: each holds a shard, for
    networks that do not fit on one. Each trains on its own --batch-size items of every step; the learning rate is
    the one given, whatever the number of devices."""
    epochs: float = 3.0
    """Train for this many passes over the training images."""
    max_train_s: float = 60.0
    """Stop training a cell after this many seconds, not counting evaluation."""
    target_accuracy: float = 0.95
    """Report the seconds until the held-out accuracy first reaches this share."""
    image_size: int = 48
    """Height and width in pixels that the images are resized to."""
    data: Path | None = None
    """Your images: a folder with one sub-folder per class, of which up to 10,000 images are used and a fifth is held
    out; or one with train/ and val/ made like that, used as they are. Default: scikit-learn's 1,797 handwritten
    digits."""
    weights: Path | None = None
    """Your weights to start from instead of the published ones: a state dictionary, or a checkpoint that contains one,
    saved by torch.save or as .safetensors. A head for other classes is replaced with a new one."""

    def __post_init__(self) -> None:
        if self.epochs <= 0:
            raise BadInputError(f"--epochs: {self.epochs} must be over 0")
        if self.max_train_s <= 0:
            raise BadInputError(f"--max-train-s: {self.max_train_s} must be over 0")
        if not 0 < self.target_accuracy <= 1:
            raise BadInputError(f"--target-accuracy: {self.target_accuracy} must lie between 0 and 1")
        if self.image_size < 32:
            raise BadInputError(f"--image-size: {self.image_size} is under 32, which these models reduce to nothing")
        for rate in self.learning_rate:
            if rate <= 0:
                raise BadInputError(f"--learning-rate: {rate} must be over 0")
