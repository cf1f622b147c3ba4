"""Where a training's batches come from: images held on the device, or files decoded while the device computes.

``Streamed`` prepares some batches ahead. Where the device decodes JPEG itself, threads read the files and a stream of
its own decodes and resizes them; elsewhere threads decode (Pillow lets go of the interpreter's lock meanwhile), and the
batch is copied from pinned memory. Threads, not processes: a process forked from a worker that has opened a device must
not touch it, and a fresh one costs seconds to import torch.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.data import Encoded, content_of, decode_resized

N_AHEAD = 3
"""Batches being decoded or copied while one is computed on."""
GET_TIMEOUT_S = 0.2
JPEG_START = b"\xff\xd8\xff"
Indices = Callable[[], torch.Tensor]
"""Hands out the indices of the next batch, int64 on the CPU."""


class Feed(Protocol):
    """Batches of a training set."""

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch on the device: uint8 items x 3 x size x size, and int64 labels."""

    def close(self) -> None:
        """Stop whatever prepares batches."""


class _Pending(NamedTuple):
    """A batch in the making: its labels, its memory on the host (None where the device decodes), what to wait for."""

    labels: torch.Tensor
    host: torch.Tensor | None
    parts: list[Future[Any]]


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


class Streamed:
    """Batches decoded from files or JPEG bytes by threads and copied ahead of their use.

    Args:
        items: What each image is decoded from.
        labels: int64, n, on the CPU.
        size: Height and width that images are resized to.
        indices: Which to hand out; called from a thread of the feed alone.
        device: Where batches go.
        n_threads: Threads that decode.
    """

    def __init__(
        self, items: Sequence[Encoded], labels: torch.Tensor, size: int, indices: Indices, device: torch.device,
        n_threads: int,
    ) -> None:  # fmt: skip
        self._items, self._labels, self._size, self._indices = items, labels, size, indices
        self._device = device
        self._is_accelerated = device.type != "cpu"
        self._has_streams = self._is_accelerated and hasattr(torch.accelerator, "current_stream")
        self._device_decodes = self._has_streams and bool(items) and can_decode(items[0], device)
        self._ready: queue.Queue[tuple[torch.Tensor, torch.Tensor, torch.Event | None] | BaseException] = queue.Queue(1)
        self._ends = threading.Event()
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decode")
        self._feeder = threading.Thread(target=self._run, name="feed", daemon=True)
        self._feeder.start()

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        got = self._ready.get()
        if isinstance(got, BaseException):
            raise got
        images, labels, copied = got
        if copied is not None:
            main = torch.accelerator.current_stream(self._device)
            main.wait_event(copied)
            images.record_stream(main)
            labels.record_stream(main)
        return images, labels

    def close(self) -> None:
        self._ends.set()
        self._feeder.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self, batch: torch.Tensor, indices: Sequence[int], positions: range) -> None:
        for position in positions:
            batch[position] = decode_resized(self._items[indices[position]], self._size)

    def _decode(self, buffer: torch.Tensor | None) -> _Pending:
        """Start preparing the next batch."""
        indices = self._indices()
        chosen, n, labels = indices.tolist(), len(indices), self._labels[indices]
        if self._device_decodes:
            return _Pending(labels, None, [self._pool.submit(content_of, self._items[i]) for i in chosen])
        if buffer is None or len(buffer) != n:
            buffer = torch.empty(n, 3, self._size, self._size, dtype=torch.uint8)
            buffer = _pinned(buffer) if self._is_accelerated else buffer
        step = max(1, n // (4 * self._n_threads))
        parts = [range(k, min(k + step, n)) for k in range(0, n, step)]
        return _Pending(labels, buffer, [self._pool.submit(self._fill, buffer, chosen, part) for part in parts])

    def _run(self) -> None:
        try:
            self._feed()
        except BaseException as error:  # handed to the thread that asks for the next batch
            self._put(error)

    def _feed(self) -> None:
        side = torch.Stream(self._device) if self._has_streams else None
        free: collections.deque[tuple[torch.Tensor, torch.Event | None]] = collections.deque()
        pending = collections.deque(self._decode(None) for _ in range(N_AHEAD))
        while not self._ends.is_set():
            batch = pending.popleft()
            results = [part.result() for part in batch.parts]
            copied = None
            with side if side is not None else contextlib.nullcontext():
                if batch.host is None:
                    images = decode_on_device(results, self._size, self._device)
                else:
                    # On the CPU the batch is the buffer itself; without streams the copy waits for itself.
                    images = batch.host.to(self._device, non_blocking=side is not None)
                labels = batch.labels.to(self._device)
                copied = side.record_event() if side is not None else None
            if batch.host is not None and self._is_accelerated:
                free.append((batch.host, copied))
            if not self._put((images, labels, copied)):
                return
            buffer = None
            if len(free) > 1:
                buffer, done = free.popleft()
                if done is not None:
                    done.synchronize()
            pending.append(self._decode(buffer))

    def _put(self, entry: tuple[torch.Tensor, torch.Tensor, torch.Event | None] | BaseException) -> bool:
        """Hand over a batch; False if nobody wants it any more."""
        while not self._ends.is_set():
            try:
                self._ready.put(entry, timeout=GET_TIMEOUT_S)
            except queue.Full:
                continue
            return True
        return False


def can_decode(item: Encoded, device: torch.device) -> bool:
    """Whether torchvision decodes JPEG on this device, found out by decoding one image."""
    content = content_of(item)
    if not content.startswith(JPEG_START):
        return False
    try:
        decode_on_device([content], 8, device)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        return False
    return True


def decode_on_device(contents: Sequence[bytes], size: int, device: torch.device) -> torch.Tensor:
    """Image files as uint8 n x 3 x size x size on the device; a file that it cannot decode is decoded by the CPU.

    Images of one shape are resized together.
    """
    coded = [i for i, content in enumerate(contents) if content.startswith(JPEG_START)]
    files = [torch.frombuffer(bytearray(contents[i]), dtype=torch.uint8) for i in coded]
    try:
        decoded = decode_jpeg(files, mode=ImageReadMode.RGB, device=device) if files else []
    except RuntimeError:
        if len(contents) == 1:
            raise
        coded, decoded = [], []  # one of them, such as a CMYK file, is beyond it: none is lost
    batch = torch.empty(len(contents), 3, size, size, dtype=torch.uint8, device=device)
    shapes: dict[torch.Size, list[int]] = {}
    for i, image in enumerate(decoded):
        shapes.setdefault(image.shape, []).append(i)
    for members in shapes.values():
        resized = F.resize(torch.stack([decoded[i] for i in members]), [size, size], antialias=True)
        batch[torch.tensor([coded[i] for i in members], device=device)] = resized
    for i in set(range(len(contents))) - set(coded):
        batch[i] = decode_resized(contents[i], size).to(device)
    return batch


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in pinned memory of the host; the tensor itself where a backend hands out something else."""
    try:
        pinned = tensor.pin_memory()
    except (RuntimeError, NotImplementedError):
        return tensor
    return pinned if pinned.device.type == "cpu" else tensor
