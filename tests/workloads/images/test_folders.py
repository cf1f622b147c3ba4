"""What of a folder is an image, and what is left out and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.images.made import noise_image
from workloads.base import BadInputError
from workloads.images import folders
from workloads.images.folders import check_folder, is_hidden, list_images
from workloads.images.photographs import check_photographs, load_photographs


def beside(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")


def test_twins_of_a_mac_and_other_hidden_files_are_passed_over_before_the_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for i in range(520):
        beside(tmp_path, f"._IMG_{i}.JPG")
    for i in range(4):
        noise_image(tmp_path / f"IMG_{i}.JPG", i)
    beside(tmp_path, ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.jpg", "@eaDir/a.jpg/thumb.jpg",
           "deep/.hidden/a.jpg", "deep/.ipynb_checkpoints/a.png", "a.HEIC", "b.heic", "c.avif", "notes")  # fmt: skip
    check_photographs(tmp_path)
    photographs = load_photographs(tmp_path)
    assert (len(photographs.images), photographs.n_skipped) == (4, 0)
    assert photographs.left_out == "527 hidden or of the system, 2 .heic, 1 without a suffix, 1 .avif"
    assert photographs.left_out in caplog.text
    assert photographs.source == f"folder {tmp_path.name}"


def test_hidden_files_do_not_use_up_the_names_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 3)
    beside(tmp_path, *(f"._{i}.jpg" for i in range(9)))
    noise_image(tmp_path / "z.jpg")
    assert [path.name for path in list_images(tmp_path, "images").paths] == ["z.jpg"]


def test_a_folder_without_images_is_told_with_what_it_holds(tmp_path: Path) -> None:
    beside(tmp_path, "a.heic", "b.heic", "._a.jpg")
    with pytest.raises(BadInputError, match=r"holds no image .*; it has 1 hidden or of the system, 2 \.heic$"):
        check_folder(tmp_path, "images")


def test_a_folder_that_is_hidden_itself_is_read_where_it_is_named(tmp_path: Path) -> None:
    noise_image(tmp_path / ".cache" / "a.jpg")
    assert len(list_images(tmp_path / ".cache", "images").paths) == 1


@pytest.mark.parametrize("name", ["photo.jpg", "my.DS_Store.jpg", "MACOSX", "eaDir", "thumbs.jpg"])
def test_what_only_resembles_them_is_read(name: str) -> None:
    assert not is_hidden(name)


def test_many_suffixes_are_summed_up(tmp_path: Path) -> None:
    noise_image(tmp_path / "a.jpg")
    beside(tmp_path, *(f"{i}.s{i}" for i in range(9)))
    left_out = list_images(tmp_path, "images").left_out
    assert left_out == "1 .s0, 1 .s1, 1 .s2, 1 .s3, 1 .s4, 1 .s5, 3 of other suffixes"
