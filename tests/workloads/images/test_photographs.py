"""Real input, and the user's in every shape it comes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workloads.base import BadInputError
from workloads.images.classes import check_image_folder
from workloads.images.labelled import load_digits, load_image_folder
from workloads.images.photographs import load_photographs, make_photograph_batch, photograph_batch


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    shape = (size[1], size[0], *({"RGB": (3,), "CMYK": (4,), "RGBA": (4,)}.get(mode, ())))
    if mode == "I;16":
        Image.fromarray(rng.integers(0, 2**16, shape, dtype=np.uint16)).save(path)
    else:
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(path)
    return path


def test_the_shipped_photographs_are_real_jpegs() -> None:
    photographs = load_photographs()
    assert [tuple(i.shape) for i in photographs.images] == [(3, 427, 640), (3, 427, 640)]
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in photographs.jpegs)
    assert photographs.n_skipped == 0


def test_a_batch_that_is_kept_is_the_one_that_would_be_made() -> None:
    photographs = load_photographs()
    kept = photograph_batch(photographs, 5, 32, 7)
    assert photograph_batch(photographs, 5, 32, 7) is kept
    assert torch.equal(kept, make_photograph_batch(photographs, 5, 32, 7))


def test_a_batch_repeats_no_image_and_is_the_same_for_the_same_seed() -> None:
    photographs = load_photographs()
    batch = photograph_batch(photographs, 8, 64, seed=3)
    assert batch.shape == (8, 3, 64, 64)
    assert batch.dtype == torch.uint8
    assert len({item.numpy().tobytes() for item in batch}) == 8
    assert torch.equal(batch, photograph_batch(photographs, 8, 64, seed=3))
    assert not torch.equal(batch, photograph_batch(photographs, 8, 64, seed=4))


@pytest.mark.parametrize(
    ("name", "mode"), [("c.jpg", "CMYK"), ("deep.png", "I;16"), ("grey.png", "L"), ("alpha.png", "RGBA")]
)
def test_every_mode_of_image_becomes_rgb(tmp_path: Path, name: str, mode: str) -> None:
    save(tmp_path / name, mode)
    photographs = load_photographs(tmp_path)
    assert photographs.images[0].shape == (3, 30, 40)
    assert photographs.images[0].float().std() > 10
    assert photographs.jpegs[0].startswith(b"\xff\xd8")


def test_images_that_do_not_decode_are_named_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = save(tmp_path / "with space.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:200])
    save(tmp_path / "dot.png", size=(1, 1))
    photographs = load_photographs(tmp_path)
    assert len(photographs.images) == 2
    assert photographs.n_skipped == 2
    assert "'text.jpg'" in caplog.text
    assert "'cut.jpg'" in caplog.text


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    save(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(load_photographs(tmp_path).images) == 1


def test_digits_are_split_with_every_class_on_both_sides() -> None:
    data = load_digits(32, seed=0)
    assert data.train.shape == (1437, 3, 32, 32)
    assert data.heldout.shape == (360, 3, 32, 32)
    assert set(data.heldout_labels.tolist()) == set(range(10))
    assert torch.equal(load_digits(32, seed=0).train_labels, data.train_labels)
    assert not torch.equal(load_digits(32, seed=1).train_labels, data.train_labels)


def test_a_folder_of_classes_is_loaded_with_its_names(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(6):
            save(tmp_path / label / f"{i}.png")
    data = load_image_folder(tmp_path, 32, seed=0)
    assert data.classes == ("cat", "dog")
    assert len(data.train_labels) + len(data.heldout_labels) == 12
    assert data.source == f"folder {tmp_path.name}"


def test_unusable_class_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="not a folder"):
        check_image_folder(tmp_path / "nothing")
    save(tmp_path / "cat" / "1.png")
    with pytest.raises(BadInputError, match="1 class folders"):
        check_image_folder(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(BadInputError, match="holds no image"):
        check_image_folder(tmp_path)
