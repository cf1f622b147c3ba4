"""Where a training's batches come from: images held on the device, or files decoded while the device computes.

``Ahead`` makes the next batch ready on a stream of its own while the device works through the step before: the copy,
the normalisation and the augmentation cost no time of the step. Files are decoded by torch's own ``DataLoader`` with a
process per core and pinned memory. Decoding on the device itself was tried instead and reached half of the rate: its
driver thread contends with the one that launches the training's kernels for the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from workloads.images.files import Encoded, decode_pixels
from workloads.runtime.streams import has_streams, pinned, send

MAX_AHEAD_BYTES = 2**30
"""Pixels that the processes may hold ready together."""
Indices = Callable[[], torch.Tensor]
"""Hands out the indices of the next batch, int64 on the CPU."""
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]
"""Without end: uint8 items x 3 x size x size, and int64 labels."""
Finish = Callable[[torch.Tensor], torch.Tensor]
"""Makes a network's input of the pixels on the device."""


def resident(images: torch.Tensor, labels: torch.Tensor, indices: Indices) -> Batches:
    """Batches picked from images that lie on the device whole, decoded once.

    Args:
        images: uint8, n x 3 x size x size, on the device.
        labels: int64, n, on the device.
        indices: Which to hand out.
    """
    while True:
        chosen = send(indices(), images.device)
        yield images[chosen], labels[chosen]


class Decoded(Dataset[Any]):
    """Images decoded and resized as they are asked for.

    Args:
        items: What each image is decoded from.
        labels: int64, n.
        size: Height and width that images are resized to.
    """

    def __init__(self, items: Sequence[Encoded], labels: torch.Tensor, size: int) -> None:
        from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

        self._items, self._labels, self._size = items, labels, size
        self._resize = F.resize  # imported before the processes that decode are started

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = decode_pixels(self._items[index])
        return self._resize(image, [self._size, self._size], antialias=True), self._labels[index]


class _Batches(Sampler[list[int]]):
    """The batches that a function hands out, without end."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield self._indices().tolist()


def streamed(
    items: Sequence[Encoded], labels: torch.Tensor, size: int, indices: Indices, *, batch_size: int, n_processes: int
) -> Batches:
    """Batches decoded by processes, in pinned memory where there is such; the processes end with the iterator.

    Args:
        items: What each image is decoded from.
        labels: int64, n, on the CPU.
        size: Height and width that images are resized to.
        indices: Which to hand out.
        batch_size: Images of a batch.
        n_processes: Processes that decode, at most; fewer where their batches would hold over a gibibyte.
    """
    n_fitting = MAX_AHEAD_BYTES // (3 * size**2 * batch_size)
    return iter(DataLoader(
        Decoded(items, labels, size), batch_sampler=_Batches(indices), pin_memory=_pins_memory(),
        num_workers=max(1, min(n_processes, n_fitting)), prefetch_factor=1,
    ))  # fmt: skip


class Ahead:
    """Hands out batches, of which the next one is made ready beside the device's work.

    Args:
        batches: Where they come from.
        finish: What is done with the pixels on the device.
        device: Where batches go.
    """

    def __init__(self, batches: Batches, finish: Finish, device: torch.device) -> None:
        self._batches: Batches | None = batches
        self._finish, self._device = finish, device
        self._side = torch.Stream(device) if has_streams(device.type) else None
        self._ready: tuple[torch.Tensor, torch.Tensor, torch.Event | None] | None = None

    @torch.no_grad()
    def prepare(self) -> None:
        """Make the next batch ready; call it once all of the step's own work has been handed to the device."""
        if self._ready is not None:
            return
        assert self._batches is not None
        with self._side or contextlib.nullcontext():
            images, labels = (send(part, self._device) for part in next(self._batches))
            inputs = self._finish(images)
            self._ready = inputs, labels, None if self._side is None else self._side.record_event()

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch on the device: the network's input, and int64 labels."""
        self.prepare()
        assert self._ready is not None
        (inputs, labels, is_made), self._ready = self._ready, None
        if is_made is not None:
            main = torch.accelerator.current_stream(self._device)
            main.wait_event(is_made)
            inputs.record_stream(main)
            labels.record_stream(main)
        return inputs, labels

    def close(self) -> None:
        """Stop whatever prepares batches: a loader ends its processes when nobody holds it."""
        self._batches = self._ready = None


@functools.cache
def _pins_memory() -> bool:
    """Whether pinned memory is the host's here."""
    return pinned(torch.empty(1)) is not None
