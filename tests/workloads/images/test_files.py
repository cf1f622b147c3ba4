"""The user's files in every shape: no image stops a sweep, no folder takes minutes or gigabytes, and what is left out is said."""

from __future__ import annotations

import io
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional as F  # noqa: N812

from tests.workloads.images.exif import STORED_AS, stored, upright
from workloads.base import BadInputError
from workloads.image_processing import ImageProcessing, ImageProcessingOptions
from workloads.images import folders
from workloads.images import photographs as data
from workloads.images.files import MAX_NAMED, Skipped, decode, decode_pixels, those_that_decode
from workloads.images.jpeg import jpeg_decoder
from workloads.images.photographs import check_photographs, load_photographs, photograph_batch

SOI = b"\xff\xd8"


def pixels(width: int = 40, height: int = 30, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def image_bytes(format_: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(*size)).convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def animated() -> bytes:
    frames = [Image.fromarray(pixels()).convert("P"), Image.new("P", (40, 30))]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], transparency=0)
    return buffer.getvalue()


def raw(array: np.ndarray, format_: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_)
    return buffer.getvalue()


FLOATS = np.where(pixels(channels=1) > 200, np.nan, pixels(channels=1).astype(np.float32) - 50)
GOOD = {
    "cmyk.jpg": image_bytes("JPEG", "CMYK"), "grey.jpg": image_bytes("JPEG", "L"), "rgb.jpg": image_bytes("JPEG"),
    "deep.png": raw(pixels(channels=1).astype(np.uint16) * 257, "PNG"), "deep.tif": raw(pixels(channels=1).astype(np.int32), "TIFF"),
    "float.tif": raw(FLOATS, "TIFF"), "palette.png": image_bytes("PNG", "P"), "alpha.png": image_bytes("PNG", "RGBA"),
    "grey-alpha.png": image_bytes("PNG", "LA"), "bits.png": image_bytes("PNG", "1"), "animated.gif": animated(),
    "a.webp": image_bytes("WEBP"), "a.bmp": image_bytes("BMP"), "UPPER.JPG": image_bytes("JPEG"),
    "really-a-png.jpg": image_bytes("PNG"), "with space.jpg": image_bytes("JPEG"), "new\nline.jpg": image_bytes("JPEG"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_image_becomes_rgb_and_a_jpeg(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(GOOD[name])
    image, jpeg = decode(tmp_path / name)
    assert image.shape == (3, 30, 40)
    assert image.dtype == torch.uint8
    assert image.float().std() > 10
    assert jpeg.startswith(SOI)


def test_names_that_are_no_text_are_read_and_said_as_escapes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/ph\xffoto\n"))
    folder.mkdir()
    (folder / os.fsdecode(b"\xfe.jpg")).write_bytes(GOOD["rgb.jpg"])
    (folder / os.fsdecode(b"b\xfead.jpg")).write_text("text")
    found = load_photographs(folder)
    assert (len(found.images), found.n_skipped) == (1, 1)
    caplog.text.encode()
    assert r"'b\udcfead.jpg'" in caplog.text


@pytest.mark.parametrize(("width", "height"), [(1, 1), (12_000, 1), (1, 12_000), (12_000, 40)])
def test_extreme_sizes_make_ordinary_batches_in_little_memory(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.png").write_bytes(raw(pixels(width, height), "PNG"))
    photographs = load_photographs(tmp_path)
    assert photographs.images[0].shape == (3, height, width)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batch = photograph_batch(photographs, 3, 224, seed=0)
    assert batch.shape == (3, 3, 224, 224)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, (
        "kilobytes; 12,000 x 1 enlarged is 2 GB"
    )


def test_a_trimmed_panorama_gives_the_same_crop_but_for_rounding() -> None:
    image = torch.from_numpy(pixels(640, 70)).permute(2, 0, 1)
    photographs = data.Photographs(images=(image,), jpegs=(b"",), source="x")
    whole = F.center_crop(F.resize(image, [256], antialias=True), [224, 224])
    assert (photograph_batch(photographs, 1, 224, seed=0)[0].int() - whole.int()).abs().max() <= 3


def bombs(folder: Path) -> None:
    """What looks like an image by its name and must not be read to its end, or at all."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere")
    (folder / "round.jpg").symlink_to(folder / "round.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "cut.jpg").write_bytes(GOOD["rgb.jpg"][:300])
    (folder / "cut.png").write_bytes(GOOD["alpha.png"][:-200])
    header = bytearray(image_bytes("BMP", size=(8, 8)))
    header[18:26] = (60_000).to_bytes(4, "little") * 2
    (folder / "bomb.bmp").write_bytes(bytes(header))
    with (folder / "sparse.jpg").open("wb") as file:
        file.truncate(2**36)


def test_what_only_looks_like_an_image_is_named_and_counted_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bombs(tmp_path)
    (tmp_path / "good.png").write_bytes(GOOD["alpha.png"])
    began = time.monotonic()
    photographs = load_photographs(tmp_path)
    assert time.monotonic() - began < 20, "a pipe or an endless file was read"
    assert len(photographs.images) == 1
    assert photographs.n_skipped == 10
    assert photographs.source == f"folder {tmp_path.name}"
    for name in ("pipe", "device", "dangling", "round", "empty", "text", "cut", "bomb", "sparse"):
        assert f"'{name}." in caplog.text
    assert str(tmp_path) not in caplog.text


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    name=st.sampled_from(sorted(GOOD)),
    place=st.floats(0, 1),
    change=st.binary(min_size=1, max_size=8),
    cut=st.booleans(),
)
def test_no_broken_file_raises(
    name: str, place: float, change: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(GOOD[name])
    at = int(place * (len(content) - 1))
    content[at : at + len(change)] = change
    path = tmp_path_factory.getbasetemp() / Path(name).name
    path.write_bytes(content[: at + 1] if cut else content)
    skipped = Skipped()
    found = list(those_that_decode([path], skipped))
    assert len(found) + skipped.n == 1
    assert all(image.shape[0] == 3 and jpeg.startswith(SOI) for _, image, jpeg in found)


def test_pixels_in_memory_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(GOOD["alpha.png"])
    monkeypatch.setattr(data, "MAX_PIXEL_BYTES", 4 * 3 * 30 * 40)
    photographs = load_photographs(tmp_path)
    assert len(photographs.images) == 4
    assert photographs.source == f"folder {tmp_path.name} (4 of 9 images)"
    check_photographs(tmp_path)


def test_the_home_folders_name_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(GOOD["alpha.png"])
    assert load_photographs(tmp_path).source == "folder ~"


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.os, "scandir", refused)  # a test may run as root, whom no mode keeps out
    with pytest.raises(BadInputError, match=r"--images: .* cannot be read \(Permission denied\)"):
        ImageProcessing.check(ImageProcessingOptions(images=tmp_path), ())


@pytest.mark.parametrize("orientation", sorted(STORED_AS))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_every_reader_sees_an_image_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    options: dict[str, object] = {".jpg": {"quality": 95}, ".webp": {"lossless": True}}.get(suffix, {})
    path = stored(tmp_path / f"a{suffix}", orientation, **options)
    right = torch.from_numpy(upright()).permute(2, 0, 1).int()
    image, jpeg = decode(path)
    (measured,) = jpeg_decoder("eager")[0]([torch.frombuffer(bytearray(jpeg), dtype=torch.uint8)], torch.device("cpu"))
    for seen in (image, decode_pixels(path), decode_pixels(path.read_bytes()), measured):
        assert seen.shape == right.shape
        assert (seen.int() - right).abs().float().mean() < 6, "but for what JPEG loses"
    assert (jpeg == path.read_bytes()) == (suffix == ".jpg" and orientation == 1)


@pytest.mark.parametrize("told", [0, 9, 99])
def test_an_orientation_that_there_is_not_leaves_the_pixels_as_they_are(told: int, tmp_path: Path) -> None:
    path = stored(tmp_path / "a.jpg", 1)
    content = path.read_bytes().replace(
        b"\x12\x01\x03\x00\x01\x00\x00\x00\x01", b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([told])
    )
    content = content.replace(
        b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x01", b"\x01\x12\x00\x03\x00\x00\x00\x01\x00" + bytes([told])
    )
    assert content != path.read_bytes()
    assert decode_pixels(content).shape == (3, 64, 96)


def test_a_broken_exif_block_costs_no_image() -> None:
    content = image_bytes("JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\xff\xff broken")
    assert decode(content)[0].shape == (3, 30, 40)


def test_the_first_files_that_do_not_decode_are_named_and_the_others_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(600):
        (tmp_path / f"a{i:03}.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(BadInputError, match=r"none of the 600 images .*; the first: 'a000.jpg' is a Git LFS pointer"):
        check_photographs(tmp_path)
    assert caplog.text.count("skipped") == MAX_NAMED
    (tmp_path / "z.jpg").write_bytes(GOOD["rgb.jpg"])
    photographs = load_photographs(tmp_path)
    assert (len(photographs.images), photographs.n_skipped) == (1, 600), "the cut to 512 comes after decoding"
