"""Folders of classes: which sub-folders are classes, and splits that others made."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
import torch

from tests.workloads.images.made import class_folder, noise_image
from workloads.base import BadInputError
from workloads.images import folders, labelled
from workloads.images import photographs as data
from workloads.images.classes import check_image_folder, find_classes
from workloads.images.folders import list_images
from workloads.images.labelled import load_image_folder
from workloads.images.photographs import load_photographs


def test_a_class_that_links_back_up_is_no_class(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "data")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "self").symlink_to(folder / "self")
    (folder / "cat" / "deep").symlink_to(folder)
    (folder / "elsewhere").symlink_to(class_folder(tmp_path / "other", ("x",)) / "x")
    assert check_image_folder(folder) == ("cat", "dog", "elsewhere")
    loaded = load_image_folder(folder, 32, seed=0)
    assert len(loaded.train_labels) + len(loaded.heldout_labels) == 9


def test_class_folders_that_cannot_be_used_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has 1 class folders; two or more"):
        check_image_folder(class_folder(tmp_path / "one", ("cat",)))
    folder = class_folder(tmp_path / "empty")
    (folder / "a b\nc").mkdir()
    with pytest.raises(BadInputError, match=r"a b\\nc' holds no image"):
        check_image_folder(folder)
    folder = class_folder(tmp_path / "broken")
    (folder / "text").mkdir()
    (folder / "text" / "a.jpg").write_text("no picture")
    with pytest.raises(BadInputError, match="no image of class 'text' in 'broken' decodes"):
        load_image_folder(folder, 32, seed=0)


def test_more_files_than_are_listed_are_used_in_part_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MAX_LISTED", n_listed := 10_000)
    folder = class_folder(tmp_path / "many", n=1)
    for i in range(n_listed):
        parent = folder / ("cat", "dog")[i % 2]
        os.link(parent / "0.png", parent / f"{i} x.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check_image_folder(folder)
    listing = list_images(folder, "data")
    assert (len(listing.paths), listing.is_whole) == (n_listed, False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelled, "MAX_LABELLED", 400)
        loaded = load_image_folder(folder, 32, seed=0)
    n = [int((torch.cat([loaded.train_labels, loaded.heldout_labels]) == label).sum()) for label in (0, 1)]
    assert n == [200, 200], "each class its share"
    assert loaded.source == "folder many (400 of 10,002 images)"
    photographs = load_photographs(folder)
    assert photographs.source == f"folder many ({data.MAX_PHOTOGRAPHS} of over {n_listed:,} images)"
    assert len(photographs.images) == data.MAX_PHOTOGRAPHS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, "kilobytes"


@pytest.mark.parametrize("junk", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", ".hidden", "$RECYCLE.BIN"])
def test_no_hidden_or_system_folder_is_a_class(junk: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = class_folder(tmp_path / "data")
    noise_image(folder / junk / "cat" / "0.png")
    noise_image(folder / "cat" / junk / "0.png")
    assert check_image_folder(folder) == ("cat", "dog")
    assert "not read in 'data': 2 hidden or of the system" in caplog.text
    loaded = load_image_folder(folder, 32, seed=0)
    assert len(loaded.train_labels) + len(loaded.heldout_labels) == 6
    assert (loaded.n_skipped, loaded.left_out) == (0, "2 hidden or of the system")


def split(folder: Path, **parts: tuple[str, ...]) -> Path:
    for name, classes in parts.items():
        class_folder(folder / name, classes, n=2 + len(name))
    return folder


@pytest.mark.parametrize(
    ("names", "heldout"),
    [
        (("train", "val"), "val"), (("Train", "Validation"), "Validation"), (("training", "valid"), "valid"),
        (("train", "test"), "test"), (("train", "test", "val"), "val"), (("train", "dev", "annotations"), "dev"),
    ],
)  # fmt: skip
def test_a_split_is_taken_as_it_is_and_said(
    names: tuple[str, ...], heldout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = split(tmp_path / "root", **dict.fromkeys(names, ("cat", "dog")))
    assert check_image_folder(folder) == ("cat", "dog")
    assert f"'root' is already split: {names[0]}/ is trained on, {heldout}/ is held out" in caplog.text
    loaded = load_image_folder(folder, 32, seed=0)
    assert torch.bincount(loaded.train_labels).tolist() == [2 + len(names[0])] * 2
    assert torch.bincount(loaded.heldout_labels).tolist() == [2 + len(heldout)] * 2
    assert loaded.source == f"folder root, split as {names[0]}/ and {heldout}/"
    unused = sorted(set(names) - {names[0], heldout})
    assert loaded.left_out == (f"{unused[0]}/" if unused else None)
    assert len(loaded.train_encoded) == len(loaded.train_labels)


def test_the_held_out_part_may_lack_classes_and_its_labels_are_those_of_training(tmp_path: Path) -> None:
    folder = split(tmp_path, train=("ant", "bee", "cat"), val=("cat",))
    loaded = load_image_folder(folder, 32, seed=0)
    assert loaded.classes == ("ant", "bee", "cat")
    assert set(loaded.heldout_labels.tolist()) == {2}


@pytest.mark.parametrize(
    "parts",
    [
        {"train": ("cat", "dog"), "val": ("cat", "elk")}, {"train": ("cat",), "test": ()}, {"val": ("cat", "dog"), "test": ("cat", "dog")},
        {"train": (), "val": ()}, {"train": ("cat", "dog"), "val": ("elk",), "docs": ("x",)},
    ],
)  # fmt: skip
def test_what_is_called_like_a_split_and_is_none_is_refused(parts: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    for name, classes in parts.items():
        if not classes:
            noise_image(tmp_path / name / "0.png")
        class_folder(tmp_path / name, classes)
    with pytest.raises(BadInputError, match=r"--data: .* is taken for a split; .*: --data .*/(train|val)$"):
        find_classes(tmp_path)


def test_classes_that_are_called_like_part_of_a_split_stay_classes(tmp_path: Path) -> None:
    assert find_classes(class_folder(tmp_path / "a", ("plane", "train"))).classes == ("plane", "train")
    assert find_classes(class_folder(tmp_path / "b", ("plane", "test", "train"))).classes == ("plane", "test", "train")
