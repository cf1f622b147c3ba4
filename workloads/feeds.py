"""Where a training's batches come from: images held on the device, or files decoded while the device computes.

``Streamed`` is torch's own ``DataLoader`` with a process per core, pinned memory, and one batch copied ahead on a
stream of its own. Decoding on the device itself was tried instead and reached half of the rate: its driver thread
contends with the one that launches the training's kernels for the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.files import Encoded, decode

MAX_AHEAD_BYTES = 2**30
"""Pixels that the processes may hold ready together."""
Indices = Callable[[], torch.Tensor]
"""Hands out the indices of the next batch, int64 on the CPU."""


class Feed(Protocol):
    """Batches of a training set."""

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch on the device: uint8 items x 3 x size x size, and int64 labels."""

    def close(self) -> None:
        """Stop whatever prepares batches."""


class Resident:
    """Batches picked from images that lie on the device whole, decoded once.

    Args:
        images: uint8, n x 3 x size x size, on the device.
        labels: int64, n, on the device.
        indices: Which to hand out.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, indices: Indices) -> None:
        self._images, self._labels, self._indices = images, labels, indices

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = self._indices().to(self._images.device, non_blocking=True)
        return self._images[chosen], self._labels[chosen]

    def close(self) -> None:
        """Nothing runs."""


class Decoded(Dataset[Any]):
    """Images decoded and resized as they are asked for.

    Args:
        items: What each image is decoded from.
        labels: int64, n.
        size: Height and width that images are resized to.
    """

    def __init__(self, items: Sequence[Encoded], labels: torch.Tensor, size: int) -> None:
        self._items, self._labels, self._size = items, labels, size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = decode(self._items[index])[0]
        return F.resize(image, [self._size, self._size], antialias=True), self._labels[index]


class _Batches(Sampler[list[int]]):
    """The batches that a function hands out, without end."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield self._indices().tolist()


class Streamed:
    """Batches decoded by processes and copied ahead of their use.

    Args:
        items: What each image is decoded from.
        labels: int64, n, on the CPU.
        size: Height and width that images are resized to.
        indices: Which to hand out.
        device: Where batches go.
        batch_size: Images of a batch.
        n_processes: Processes that decode, at most; fewer where their batches would hold over a gibibyte.
    """

    def __init__(
        self, items: Sequence[Encoded], labels: torch.Tensor, size: int, indices: Indices, device: torch.device, *,
        batch_size: int, n_processes: int,
    ) -> None:  # fmt: skip
        n_fitting = MAX_AHEAD_BYTES // (3 * size**2 * batch_size)
        self._device = device
        self._side = torch.Stream(device) if device.type != "cpu" and _pins_memory() else None
        loader = DataLoader(
            Decoded(items, labels, size), batch_sampler=_Batches(indices), pin_memory=self._side is not None,
            num_workers=max(1, min(n_processes, n_fitting)), prefetch_factor=1,
        )  # fmt: skip
        self._batches: Iterator[Any] | None = iter(loader)
        self._ahead = self._fetch()

    def _fetch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Event | None]:
        """The next batch, on its way to the device."""
        assert self._batches is not None
        images, labels = next(self._batches)
        if self._side is None:
            return images.to(self._device), labels.to(self._device), None
        with self._side:
            images, labels = (part.to(self._device, non_blocking=True) for part in (images, labels))
            return images, labels, self._side.record_event()

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels, copied = self._ahead
        self._ahead = self._fetch()
        if copied is not None:
            main = torch.accelerator.current_stream(self._device)
            main.wait_event(copied)
            images.record_stream(main)
            labels.record_stream(main)
        return images, labels

    def close(self) -> None:
        """End the processes; the loader does so when nobody holds it."""
        self._batches = None


def _pins_memory() -> bool:
    """Whether pinned memory is the host's here; on Apple GPUs it has been the GPU's own (pytorch issue 181374)."""
    try:
        pinned = torch.empty(1).pin_memory()
    except (RuntimeError, NotImplementedError):
        return False
    return pinned.device.type == "cpu" and pinned.is_pinned()
