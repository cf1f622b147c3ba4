"""JPEG files to pixels, on any device that has a decoder: the one function that the decoding measured goes through.

torchvision 0.29 calls its decoders deprecated and points to TorchCodec 0.16, so that decodes where it is installed, and
torchvision's decoder while it lasts. Either can be asked for by name.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")

DecoderName = Literal["torchcodec", "torchvision"]
ANY = "eager"
"""Whichever there is."""
Decode = Callable[[Sequence["torch.Tensor"], "torch.device"], list["torch.Tensor"]]
"""Files, each its bytes as uint8 on the CPU, as RGB pixels on a device: each uint8, 3 x height x width."""


class NoDecoderError(Exception):
    """The decoder asked for is not to be had here, and what would bring it."""


def _torchcodec() -> Decode:
    # RuntimeError, too: it says so when a library that it was built with is lacking.
    from torchcodec.decoders import decode_jpeg

    def decode(files: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        decoded: list[torch.Tensor] = decode_jpeg(list(files), mode="RGB", device=device)
        return decoded

    return decode


def _torchvision() -> Decode:
    from torchvision.io import ImageReadMode, decode_jpeg

    def decode(files: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
        # A list even of one: a batch has a way of its own through a device's decoder.
        decoded: list[torch.Tensor] = decode_jpeg(list(files), mode=ImageReadMode.RGB, device=device)
        return decoded

    return decode


_MAKERS: dict[DecoderName, Callable[[], Decode]] = {"torchcodec": _torchcodec, "torchvision": _torchvision}
_LACKING: dict[DecoderName, str] = {
    "torchcodec": "TorchCodec 0.16 or later is not installed here; `pip install 'accelsweep[torchcodec]'` brings it",
    "torchvision": "this torchvision no longer decodes JPEG; TorchCodec does (the extra torchcodec)",
}


@functools.cache
def jpeg_decoder(name: str) -> tuple[Decode, str]:
    """A decoder by its name, or by ``ANY``, and what it is with its version, such as ``torchcodec 0.17.0``.

    Raises:
        NoDecoderError: If it is not installed, too old, or does not load.
    """
    for known, make in _MAKERS.items():
        if name not in {known, ANY}:
            continue
        try:
            return make(), f"{known} {importlib.metadata.version(known)}"
        except (ImportError, RuntimeError, OSError) as error:
            if name != ANY:
                raise NoDecoderError(_LACKING[known]) from error
    raise NoDecoderError(_LACKING["torchcodec"])


def check_decoder(name: str) -> None:
    """NoDecoderError if a decoder is not even installed; nothing is imported for it."""
    for known, lacking in _LACKING.items():
        if name == known and importlib.util.find_spec(known) is None:
            raise NoDecoderError(lacking)
