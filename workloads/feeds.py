"""Where a training's batches come from: images held on the device, or files decoded while the device computes.

``Streamed`` decodes on threads (Pillow lets go of the interpreter's lock while it decodes and resizes), collects a
batch in pinned memory and copies it on a stream of its own, some batches ahead. Threads, not processes: a process
forked from a worker that has opened a device must not touch it, and a fresh one costs seconds to import torch.
"""

from __future__ import annotations

import collections
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch

from workloads.data import Encoded, decode_resized

N_AHEAD = 3
"""Batches being decoded or copied while one is computed on."""
GET_TIMEOUT_S = 0.2
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
        self._ready: queue.Queue[tuple[torch.Tensor, torch.Tensor, torch.Event | None] | BaseException] = queue.Queue(1)
        self._ends = threading.Event()
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

    def _decode(self, buffer: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor, list[Future[None]]]:
        """Start decoding the next batch: its memory on the host, its labels, and what to wait for."""
        indices = self._indices()
        n = len(indices)
        if buffer is None or len(buffer) != n:
            buffer = torch.empty(n, 3, self._size, self._size, dtype=torch.uint8)
            buffer = _pinned(buffer) if self._is_accelerated else buffer
        chosen, step = indices.tolist(), max(1, n // (4 * self._pool._max_workers))
        parts = [range(k, min(k + step, n)) for k in range(0, n, step)]
        return buffer, self._labels[indices], [self._pool.submit(self._fill, buffer, chosen, part) for part in parts]

    def _run(self) -> None:
        try:
            self._feed()
        except BaseException as error:  # handed to the thread that asks for the next batch
            self._put(error)

    def _feed(self) -> None:
        side = torch.Stream(self._device) if self._has_streams else None
        free: collections.deque[tuple[torch.Tensor, torch.Event | None]] = collections.deque()
        decoding = collections.deque(self._decode(None) for _ in range(N_AHEAD))
        while not self._ends.is_set():
            host, labels, parts = decoding.popleft()
            for part in parts:
                part.result()
            copied = None
            if side is None:
                # The CPU's batch is the buffer itself; elsewhere without streams the copy waits for itself.
                images, targets = host.to(self._device), labels.to(self._device)
            else:
                with side:
                    images, targets = host.to(self._device, non_blocking=True), labels.to(self._device)
                    copied = side.record_event()
            if self._is_accelerated:
                free.append((host, copied))
            if not self._put((images, targets, copied)):
                return
            buffer = None
            if len(free) > 1:
                buffer, done = free.popleft()
                if done is not None:
                    done.synchronize()
            decoding.append(self._decode(buffer))

    def _put(self, entry: tuple[torch.Tensor, torch.Tensor, torch.Event | None] | BaseException) -> bool:
        """Hand over a batch; False if nobody wants it any more."""
        while not self._ends.is_set():
            try:
                self._ready.put(entry, timeout=GET_TIMEOUT_S)
            except queue.Full:
                continue
            return True
        return False


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    """A copy in pinned memory of the host; the tensor itself where a backend hands out something else."""
    try:
        pinned = tensor.pin_memory()
    except (RuntimeError, NotImplementedError):
        return tensor
    return pinned if pinned.device.type == "cpu" else tensor
