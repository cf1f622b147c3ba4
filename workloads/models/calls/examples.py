"""Items to call a network with: real photographs where it takes images, what resembles an example, random numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from workloads.base import BadInputError
from workloads.images.batches import to_model_input
from workloads.images.photographs import Photographs, photograph_batch
from workloads.models.calls.inputs import Inputs, Slot, changed
from workloads.models.calls.taken import Taken, told

N_SHIFTED = 4
"""Pixels by which the second of two images is shifted, as a camera's next frame."""


@dataclass(frozen=True, kw_only=True)
class InputMaker:
    """Makes different items for a network, the same ones each time.

    Attributes:
        takes: What the network takes.
        example: An example of all of it, by which items are made instead.
        photographs: Where images come from.
        mean: Per channel, of pixel values from 0 to 1.
        std: Per channel.
        seed: Of the crops and of random numbers.
        is_copied: Each call has a copy of the items, since the network changes them.
    """

    photographs: Photographs
    takes: tuple[Taken, ...] = ()
    example: Inputs | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    seed: int = 0
    is_copied: bool = False

    @property
    def is_synthetic(self) -> bool:
        """Some input is no photograph."""
        return self.example is not None or not all(one.is_photograph or one.is_clip for one in self.takes)

    @property
    def is_image(self) -> bool:
        """An item is one photograph."""
        return not self.is_synthetic and len(self.takes) == 1 and self.takes[0].is_photograph

    @property
    def source(self) -> str:
        kinds = {"photographs" if one.is_photograph or one.is_clip else "random" for one in self.takes}
        said = [self.photographs.source] if "photographs" in kinds else []
        said += ["random numbers"] if "random" in kinds else []
        if self.example is not None:
            said = ["numbers like those of the model's example inputs"]
        return ", ".join([*said, *(["copied in each step as the network changes them"] if self.is_copied else [])])

    @property
    def shape(self) -> str:
        """Of one item."""
        if self.example is None:
            return told(self.takes)
        shapes = (
            Taken(shape=tuple(t.shape[1:]) or (1,), dtype=str(t.dtype).removeprefix("torch."))
            for t in self.example.tensors
        )
        return told(tuple(shapes))

    def bytes_of(self, n: int) -> int:
        """Bytes of so many items."""
        if self.example is not None:
            return self.example.n_bytes * n // max(1, len(self.example))
        sizes = (math.prod(one.shape) * int(getattr(torch, one.dtype).itemsize) for one in self.takes)
        return n * sum(sizes)

    def __call__(self, n: int) -> Inputs:
        """So many different items, on the CPU."""
        if self.example is not None:
            generator = torch.Generator().manual_seed(self.seed)
            return self.example.with_tensors([_like(t, n, generator) for t in self.example.tensors])
        tensors = tuple(self._made(one, n, place) for place, one in enumerate(self.takes))
        slots = [Slot(number=i, is_list=one.is_list) for i, one in enumerate(self.takes)]
        return Inputs(
            tensors=tensors,
            args=tuple(slot for slot, one in zip(slots, self.takes, strict=True) if one.name is None),
            kwargs={one.name: slot for slot, one in zip(slots, self.takes, strict=True) if one.name is not None},
        )

    def _made(self, one: Taken, n: int, place: int) -> torch.Tensor:
        if one.is_photograph:
            return self._photographed(one.shape, n, N_SHIFTED * place)
        if one.is_clip:
            shape = (one.shape[0], *one.shape[2:])
            return torch.stack([self._photographed(shape, n, frame) for frame in range(one.shape[1])], dim=2)
        generator = torch.Generator().manual_seed(self.seed + place)
        dtype = getattr(torch, one.dtype)
        if one.high is None:
            return _normal(n, one.shape, generator).to(dtype)
        return torch.randint(0, one.high, (n, *one.shape), generator=generator).to(dtype)

    def _photographed(self, shape: Sequence[int], n: int, shift: int) -> torch.Tensor:
        """Crops as the network takes them, from ``shift`` pixels to the right and below."""
        n_channels, height, width = shape
        most = max((0, *(one.shape[1] - 1 for one in self.takes if one.is_clip), N_SHIFTED * (len(self.takes) - 1)))
        pixels = photograph_batch(self.photographs, n, max(height, width) + most, self.seed)
        pixels = pixels[..., shift : shift + height, shift : shift + width]
        images = to_model_input(pixels, self.mean, self.std)
        return images if n_channels == len(self.mean) else images.mean(1, keepdim=True)


def _normal(n: int, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Normal random numbers of which the first items are the same whatever ``n``: torch fills sixteen at a time."""
    return torch.stack([torch.randn(*shape, generator=generator) for _ in range(n)])


def _like(example: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """The example's items, and as many more as ``n`` takes: of their values in another order, or drawn from them.

    What is the same everywhere, as zeros are, is an example of the shape alone and becomes normal random numbers.
    """
    n_own, values = len(example), example.reshape(-1)
    if example.is_floating_point() and bool((values == values[0]).all()):
        return _normal(n, example.shape[1:], generator).to(example.dtype)
    items = [example[i] for i in range(min(n, n_own))]
    for i in range(n_own, n):
        own = example[i % n_own]
        if example.is_floating_point():
            drawn = values[torch.randint(len(values), (own.numel(),), generator=generator)]
        else:
            drawn = own.reshape(-1)[torch.randperm(own.numel(), generator=generator)]
        items.append(drawn.reshape(own.shape))
    return torch.stack(items)


@dataclass(frozen=True, kw_only=True)
class _Images:
    """A list of images of one size, as detectors take them, an item each."""

    stacked: torch.Tensor


def _with_lists(argument: Any) -> Any:
    is_list = isinstance(argument, list) and bool(argument)
    if is_list and all(isinstance(x, torch.Tensor) and x.ndim == 3 and x.shape == argument[0].shape for x in argument):
        return _Images(stacked=torch.stack(argument)) if len(argument[0]) in (1, 3) else argument
    return argument


def _tensor_of(leaf: Any) -> torch.Tensor | None:
    leaf = leaf.stacked if isinstance(leaf, _Images) else leaf
    return leaf if isinstance(leaf, torch.Tensor) and leaf.ndim else None


@dataclass(kw_only=True)
class _Reader:
    """Takes the tensors of the items out of the user's example."""

    n: int
    tensors: list[torch.Tensor] = field(default_factory=list)

    def read(self, leaf: Any) -> Any:
        if isinstance(leaf, _Images):
            self.tensors.append(leaf.stacked.detach().cpu())
            return Slot(number=len(self.tensors) - 1, is_list=True)
        if not isinstance(leaf, torch.Tensor) or not leaf.ndim or len(leaf) != self.n:
            return leaf.detach().cpu() if isinstance(leaf, torch.Tensor) else leaf
        self.tensors.append(leaf.detach().cpu())
        return Slot(number=len(self.tensors) - 1)


def read_example(example: Any, name: str) -> Inputs:
    """Example inputs as a user's function gives them: a tensor, a tuple of arguments, a dictionary of named ones.

    Tensors that are as long as the first one have the items first; others are the same for all items.

    Args:
        example: Or a pair of the arguments by place and those by name.
        name: What the model is called.

    Raises:
        BadInputError: If there is no tensor in it.
    """
    args, kwargs = example, {}
    is_pair = isinstance(example, tuple) and len(example) == 2
    if isinstance(example, Mapping):
        args, kwargs = (), dict(example)
    elif is_pair and isinstance(example[0], tuple) and isinstance(example[1], Mapping):
        args, kwargs = example[0], dict(example[1])
    elif not isinstance(example, (list, tuple)):
        args = (example,)
    tree = (tuple(map(_with_lists, args)), {key: _with_lists(value) for key, value in kwargs.items()})
    found: list[torch.Tensor] = []
    changed(tree, lambda leaf: found.append(t) if (t := _tensor_of(leaf)) is not None else None)
    if not found or not len(found[0]):
        raise BadInputError(f"--model: the example inputs of {name!r} hold no tensor with items; it gives "
                            f"{type(example).__name__}")  # fmt: skip
    reader = _Reader(n=len(found[0]))
    own = changed(tree, reader.read)
    return Inputs(tensors=tuple(reader.tensors), args=own[0], kwargs=own[1])
