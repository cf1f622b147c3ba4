"""Decoding by whichever library there is: the same pixels, named, and one line where one is lacking."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from sweeps.commands import main
from tests.workloads.conftest import prepared
from workloads.base import UnsupportedError
from workloads.image_processing import RELATIVE_TOLERANCES
from workloads.images import jpeg, load_photographs
from workloads.images.files import decode_pixels
from workloads.images.jpeg import NoDecoderError, jpeg_decoder
from workloads.images.photographs import Photographs

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    jpeg_decoder.cache_clear()
    yield
    jpeg_decoder.cache_clear()


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """As where these libraries are not installed, to an import and to who only looks."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.decoders", None)
    real = jpeg.importlib.util.find_spec
    monkeypatch.setattr(jpeg.importlib.util, "find_spec", lambda name, *a: None if name in names else real(name, *a))


@pytest.fixture(scope="module")
def photographs() -> Photographs:
    return load_photographs()


@pytest.mark.parametrize("name", ["torchcodec", "torchvision"])
def test_every_decoder_gives_the_pixels_that_pillow_does(name: str, photographs: Photographs) -> None:
    pytest.importorskip(name)
    decode, told = jpeg_decoder(name)
    assert told == f"{name} {importlib.metadata.version(name)}"
    files = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in photographs.jpegs]
    for pixels, content in zip(decode(files, CPU), photographs.jpegs, strict=True):
        assert pixels.dtype == torch.uint8
        right = decode_pixels(content)
        assert pixels.shape == right.shape
        assert (pixels.int() - right.int()).abs().max() <= 4


@pytest.mark.parametrize("name", ["torchcodec", "torchvision", "eager"])
def test_the_decoders_stand_in_a_grid_and_a_row_says_which_it_was(name: str) -> None:
    if name != "eager":
        pytest.importorskip(name)
    workload = prepared("image-processing", pipeline=("decode",), implementation=(name,))
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    torch.testing.assert_close(outputs, reference, atol=4, rtol=0)
    assert not workload.is_compiled  # type: ignore[attr-defined]
    facts = workload.setup()
    expected = ("torchvision" if not _has_torchcodec() else "torchcodec") if name == "eager" else name
    assert (facts.decoder or "").split()[0] == expected
    workload.teardown()


def _has_torchcodec() -> bool:
    return jpeg.importlib.util.find_spec("torchcodec") is not None


def test_what_decodes_nothing_needs_no_decoder() -> None:
    with pytest.raises(UnsupportedError, match=r"^resize: does not decode, which is all that torchvision does$"):
        prepared("image-processing", pipeline=("resize",), implementation=("torchvision",))


def test_without_torchcodec_torchvision_decodes_and_who_asks_for_it_is_told_of_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "torchcodec")
    assert jpeg_decoder("eager")[1].startswith("torchvision ")
    with pytest.raises(UnsupportedError, match=r"^decode: TorchCodec .* `pip install 'accelsweep\[torchcodec\]'`"):
        prepared("image-processing", pipeline=("decode",), implementation=("torchcodec",))
    assert main(["image-processing", "--implementation", "torchcodec", "--pipeline", "decode"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "accelsweep: error: --implementation: 'torchcodec': TorchCodec 0.16 or later is not installed"
    )
    assert told.count("\n") == 1


def test_a_torchvision_that_decodes_no_more_is_told_and_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.io", None)
    with pytest.raises(NoDecoderError, match="the extra torchcodec"):
        jpeg_decoder("torchvision")
    if _has_torchcodec():
        assert jpeg_decoder("eager")[1].startswith("torchcodec ")
    without(monkeypatch, "torchcodec")
    jpeg_decoder.cache_clear()
    with pytest.raises(NoDecoderError, match=r"TorchCodec 0\.16 or later is not installed"):
        jpeg_decoder("eager")


def test_another_way_to_enlarge_colours_is_no_wrong_answer_and_swapped_ones_are() -> None:
    workload = prepared("image-processing", pipeline=("decode",))
    decoding = workload._decoding  # type: ignore[attr-defined]
    own = decoding.decode

    def enlarged(files: object) -> list[torch.Tensor]:
        found = []
        for image in own(files):
            pixels = np.array(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("YCbCr"))
            even = pixels[: len(pixels) // 2 * 2, :, 1:].reshape(len(pixels) // 2, 2, -1, 2)
            even[:] = even.mean(1, keepdims=True)  # one colour for two rows, not blended with the next, as some do
            rgb = np.array(Image.fromarray(pixels, "YCbCr").convert("RGB"))
            found.append(torch.from_numpy(rgb).permute(2, 0, 1))
        return found

    allowed = RELATIVE_TOLERANCES["decode"]
    for decode, is_right in ((enlarged, True), (lambda files: [image.flip(0) for image in own(files)], False)):
        decoding.decode = decode
        outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
        off = float((outputs - reference).abs().max() / reference.abs().max())
        assert (off <= allowed) == is_right, off
