"""Decoding as a pipeline: JPEG files to pixels on the device, with no floating part, no batch, nothing to compile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812 (the field's usual name)

from workloads.base import CellContext, UnsupportedError
from workloads.images.files import decode_pixels, to_jpeg
from workloads.images.jpeg import NoDecoderError, jpeg_decoder
from workloads.images.photographs import Photographs, different_photographs
from workloads.pipelines.compared import HEIGHT, WIDTH
from workloads.runtime.words import in_short

COMPARED_SIZE = (HEIGHT // 4, WIDTH // 4)
"""JPEG (ITU-T T.81) leaves open how colours stored at half the resolution are enlarged: at an edge nvJPEG's pixels are
up to 28 of 255 levels off Pillow's, which a quarter of the size averages out."""


def check_decodes(context: CellContext) -> None:
    """UnsupportedError where a cell asks for what decoding does not have."""
    if context.compile != "none":
        raise UnsupportedError("decode: has nothing for torch.compile to compile")
    if context.precision != "fp32":
        raise UnsupportedError(f"decode: has no floating-point part for {context.precision} to change; use fp32")
    if context.memory_format != "contiguous":
        raise UnsupportedError(f"decode: returns single images, which cannot be {context.memory_format}")


class Decoding:
    """The files of one batch, and what decodes them.

    Attributes:
        named: The decoder with its version, such as ``torchcodec 0.17.0``.
    """

    def __init__(self, context: CellContext, photographs: Photographs, implementation: str) -> None:
        """Choose the decoder and try it on one file.

        Raises:
            UnsupportedError: If the cell, the libraries or the device have no such decoder.
        """
        check_decodes(context)
        try:
            self._decoder, self.named = jpeg_decoder(implementation)
        except NoDecoderError as error:
            raise UnsupportedError(f"decode: {error}") from error
        self._context, self._photographs = context, photographs
        n_rounds, n_more = divmod(context.batch_size, len(photographs.images))
        sizes = [image.numel() for image in photographs.images]
        context.check_fits("the decoded batch", on_device=n_rounds * sum(sizes) + sum(sizes[:n_more]))
        files = [_as_file(jpeg) for jpeg in photographs.jpegs]
        self._files = [files[i % len(files)] for i in range(context.batch_size)]
        self._threads: ThreadPoolExecutor | None = None
        if context.device.type == "cpu":
            self._threads = ThreadPoolExecutor(max(1, torch.get_num_threads()), thread_name_prefix="decode")
        self._check_device()

    def _check_device(self) -> None:
        told = self._context.device.type
        try:
            where = self.decode()[0].device.type
        except (RuntimeError, ValueError, TypeError) as error:
            if self._threads is not None:
                raise
            raise UnsupportedError(f"decode: no JPEG decoder on {told}: {in_short(error)}") from error
        if where != told:  # torchvision does not say so
            raise UnsupportedError(f"decode: no JPEG decoder on {told}: {self.named.split()[0]} decoded on {where}")

    def decode(self, files: Sequence[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """Pixels on the device, each uint8, 3 x height x width, of the batch or of other files."""
        files, device = self._files if files is None else files, self._context.device
        if self._threads is not None:
            # One file a thread: the decoder lets go of the interpreter's lock, and a CPU trial owns every core.
            return list(self._threads.map(lambda file: self._decoder([file], device)[0], files))
        return self._decoder(files, device)

    def outputs_and_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of different files, the photographs' own first, here and by Pillow: float32, items x 3 x height x width."""
        from torchvision.transforms.v2.functional import to_pil_image

        n, own = self._context.n_compared, self._photographs.jpegs
        more = different_photographs(self._photographs, n, (HEIGHT, WIDTH), self._context.seed)[len(own) :]
        jpegs = [*own[:n], *(to_jpeg(to_pil_image(image)) for image in more)]
        decoded = self.decode([_as_file(jpeg) for jpeg in jpegs])
        return _quarter_size(decoded), _quarter_size([decode_pixels(jpeg) for jpeg in jpegs])

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()


def _as_file(jpeg: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(jpeg), dtype=torch.uint8)


def _quarter_size(images: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([F.resize(image.cpu(), list(COMPARED_SIZE), antialias=True) for image in images]).float()
