"""What is kept on disk comes back as it was; what is damaged, too large or cannot be written is computed again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from workloads.runtime import kept as keeping
from workloads.runtime.kept import digest_of, kept


class Work:
    """Counts how often it is done."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> dict[str, torch.Tensor]:
        self.n += 1
        return {"a": torch.arange(3.0, dtype=torch.float64), "b": torch.ones(2, 2)[0]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(keeping.FOLDER_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def same(found: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(found[name], tensor) for name, tensor in Work()().items())


def test_it_is_computed_once_and_comes_back_as_it_was(folder: Path) -> None:
    work = Work()
    assert all(same(kept("x", work)) for _ in range(3))
    assert work.n == 1
    kept("y", work)
    assert work.n == 2
    assert sorted(file.name for file in folder.iterdir()) == ["x.tensors", "y.tensors"]


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:100] + b"!" + b[101:], lambda b: b"no"]
)
def test_a_damaged_file_is_computed_again_and_replaced(folder: Path, damage) -> None:
    work = Work()
    kept("x", work)
    file = folder / "x.tensors"
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert same(kept("x", work))
    assert work.n == 2
    assert same(kept("x", work))
    assert work.n == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(keeping.FOLDER_VARIABLE, str(tmp_path / "file" / "kept"))
    work = Work()
    assert all(same(kept("x", work)) for _ in range(2))
    assert work.n == 2


def test_it_stays_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_FILE_BYTES", 10)
    kept("large", Work())
    assert not folder.exists()
    monkeypatch.undo()
    monkeypatch.setenv(keeping.FOLDER_VARIABLE, str(folder))
    monkeypatch.setattr(keeping, "MAX_BYTES", keeping.MAX_FILE_BYTES + 1)
    for name in "abc":
        kept(name, Work())
    assert [file.name for file in folder.iterdir()] == ["c.tensors"]


def test_all_that_decides_it_is_in_its_name(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text("1")
    whole = [torch.zeros(2, 3), "name", 1, code]
    told = digest_of(whole)
    assert told == digest_of(list(whole))
    others = [torch.zeros(3, 2), torch.ones(2, 3), torch.zeros(2, 3).int()]
    assert len({told, *(digest_of([other, *whole[1:]]) for other in others)}) == 4
    code.write_text("2")
    assert digest_of(whole) != told


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [("linux", "XDG_CACHE_HOME", "{}/accelsweep"), ("win32", "LOCALAPPDATA", "{}/accelsweep"),
     ("darwin", "HOME", "{}/Library/Caches/accelsweep"), ("linux", "HOME", "{}/.cache/accelsweep")],
)  # fmt: skip
def test_the_folder_is_where_the_system_has_caches(
    tmp_path, monkeypatch, platform: str, variable: str, expected: str
) -> None:
    for name in (keeping.FOLDER_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert keeping.folder() == Path(expected.format(tmp_path))
