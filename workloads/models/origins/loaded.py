"""A network as every source gives it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from workloads.models.calls.inputs import Inputs
    from workloads.models.calls.taken import Taken

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with what its input must be.

    Attributes:
        module: On the CPU, in fp32, in evaluation mode.
        weights: ``imagenet``, ``random`` or the weight file's name.
        input_size: Height and width in pixels.
        mean: Per channel, of pixel values from 0 to 1.
        std: Per channel.
        head: Of the user's weights: whether their head is the model's; None of others.
        takes: What it takes where that is not one image of ``input_size``.
        example: An example of what it takes, by which its items are made.
        code: What tells the user's code from other code.
        commit: Of git, of the user's code.
        is_quantised: It computes in 8 bits on the CPU, whatever precision is asked for.
        varies: Its answers to the same items differ from one call to the next.
        drawn: What its weights follow from, equal for equal weights; None where that is not known.
    """

    module: nn.Module
    weights: str
    input_size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    head: str | None = None
    takes: tuple[Taken, ...] = ()
    example: Inputs | None = None
    code: str | None = None
    commit: str | None = None
    is_quantised: bool = False
    varies: bool = False
    drawn: Hashable | None = None
