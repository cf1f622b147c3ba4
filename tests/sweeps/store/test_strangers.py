"""Copies and files of others among a sweep's own: never rows, named once, and in nobody's way."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis import load_rounds, load_samples, load_sweep
from analysis.contract.parts import PARTS, SUMS
from analysis.read.sweeps import load_sweeps
from sweeps.commands import main
from sweeps.store import schema
from sweeps.store.store import ResultStore
from tests.sweeps.store.made import CONFIG, new_store, record, write

TABLES = [table for table in schema.TABLES if table != "profiles"]
"""Those that every cell has a part of."""
KEYS = [cell.key for cell in CONFIG.cells()]


def copies(name: str) -> Callable[[Path], None]:
    """Lay a copy of the first file of each table beside it; the copy's name may have a place for the original's."""

    def copy(folder: Path) -> None:
        for table in TABLES:
            first = min(p for p in (folder / table).glob("*.parquet") if PARTS.fullmatch(p.name))
            shutil.copy(first, first.with_name(name.format(first.stem)))

    return copy


def rename(folder: Path) -> None:
    for table in TABLES:
        part = folder / table / f"part-{KEYS[0]}.parquet"
        part.rename(part.with_name("part-00000000000000ff.parquet"))


def add_of_another_sweep(folder: Path) -> None:
    other = write(folder.parent.parent / "elsewhere", "old", "s9", sizes=(7, 8))
    for table in TABLES:
        for file in (other / table).glob("*.parquet"):
            shutil.copy(file, folder / table / "part-00000000000000aa.parquet")


def merged_with_another(folder: Path, tmp_path: Path) -> int:
    """Merge a sweep, or a folder of sweeps, with another one into ``m``; the exit code."""
    other = write(tmp_path / "b", "new", "s2")
    return main(["merge", str(folder), str(other), "--output", str(tmp_path / "m"), "--no-report"])


STRANGE = {
    "mac and icloud": (copies("{0} 2.parquet"), "part-{key} 2.parquet"),
    "browser": (copies("{0} (1).parquet"), "part-{key} (1).parquet"),
    "windows": (copies("{0} - Copy.parquet"), "part-{key} - Copy.parquet"),
    "dropbox": (copies("{0} (anna's conflicted copy 2026-01-02).parquet"), "part-{key} (anna's conflicted copy 2026-01-02).parquet"),
    "syncthing": (copies("{0}.sync-conflict-20260102-101010-ABCDEFG.parquet"), "part-{key}.sync-conflict-20260102-101010-ABCDEFG.parquet"),
    "onedrive": (copies("{0}-laptop.parquet"), "part-{key}-laptop.parquet"),
    "no suffix": (copies("{0}.parquet.bak"), "part-{key}.parquet.bak"),
    "taken away": (copies(".{0}.parquet.icloud"), ".part-{key}.parquet.icloud"),
    "any name": (copies("trials.parquet"), "trials.parquet"),
    "joined by nobody": (copies("compact-1-laptop.parquet"), "compact-1-laptop.parquet"),
    "of another sweep": (add_of_another_sweep, "part-00000000000000aa.parquet"),
}  # fmt: skip
HIDDEN = {
    "resource": copies("._{0}.parquet"),
    "lock": copies(".~lock.{0}.parquet#"),
    "half": copies(".{0}.parquet.7.tmp"),
}


def two_cells(results: Path) -> Path:
    """A sweep of three cells, of which two are recorded."""
    store = new_store(results)
    record(store, 0)
    record(store, 1)
    return store.folder


def everything(folder: Path) -> dict[str, Counter[str]]:
    """How many rows, samples and rounds a report counts of each cell."""
    loaders = {"trials": load_sweep, "samples": load_samples, "rounds": load_rounds}
    return {table: Counter(load(folder)["trial_key"]) for table, load in loaders.items()}


def laid(folder: Path, how: str) -> list[str]:
    """Lay files into each table that are not the sweep's own; their names, where they are told."""
    lay, named = STRANGE[how] if how in STRANGE else (HIDDEN[how], None)
    lay(folder)
    return [] if named is None else [named.format(key=min(KEYS[:2]))]


@pytest.mark.parametrize("how", [*STRANGE, *HIDDEN])
def test_a_file_that_is_not_the_sweeps_own_changes_nothing(how: str, tmp_path: Path) -> None:
    folder = two_cells(tmp_path / "results")
    before, report = everything(folder), [row["trial_key"] for row in ResultStore.open(folder)[0].rows()]
    left_out = laid(folder, how)
    assert everything(folder) == before
    assert load_sweep(folder).attrs["unreadable"] == left_out

    store, _ = ResultStore.open(folder)
    assert store.strangers == [f"{table}/{name}" for table in TABLES for name in left_out]
    assert sorted(row["trial_key"] for row in store.rows()) == sorted(report)
    record(store, 2)
    store.compact()
    whole = everything(folder)
    assert whole["trials"] == Counter(KEYS)
    assert set(whole["samples"].values()) == {3}


def test_files_that_are_not_the_sweeps_own_are_each_named_once_by_listing_and_merging(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_cells(tmp_path / "results")
    left_out = [name for how in (*STRANGE, *HIDDEN) for name in laid(folder, how)]
    assert len(left_out) == len(STRANGE)
    assert load_sweeps([folder]).attrs["missing"] == 1

    assert main(["list", "--output", str(folder.parent)]) == 0
    listed = capsys.readouterr().out
    assert listed.split("missing\n")[1].split()[1:7] == ["3", "2", "0", "0", "0", "1"]
    assert listed.count("ignored, as") == 1
    assert all(listed.count(f"s1/trials/{name}") == 1 for name in left_out)

    assert merged_with_another(folder, tmp_path) == 0
    merged = capsys.readouterr().out
    assert all(f"s1/trials/{name}" in merged for name in left_out)
    assert len(load_sweep(tmp_path / "m")) == 4


def test_a_part_that_was_renamed_is_named_and_its_cell_is_measured_again(tmp_path: Path) -> None:
    folder = two_cells(tmp_path)
    rename(folder)
    store, _ = ResultStore.open(folder)
    assert [row["trial_key"] for row in store.rows()] == [KEYS[1]]
    assert store.strangers == [f"{table}/part-00000000000000ff.parquet" for table in TABLES]


def test_an_empty_part_is_set_aside_and_a_copy_of_nothing_is_left_out(tmp_path: Path) -> None:
    folder = two_cells(tmp_path)
    (folder / "trials" / f"part-{KEYS[0]}.parquet").write_bytes(b"")
    (folder / "trials" / f"part-{KEYS[1]} 2.parquet").write_bytes(b"")
    store, _ = ResultStore.open(folder)
    assert store.damaged == [f"trials/part-{KEYS[0]}.parquet"]
    assert [row["trial_key"] for row in store.rows()] == [KEYS[1]]


@pytest.mark.parametrize("copy", ["compact-1-laptop.parquet", "part-00000000000000ff.parquet"])
def test_without_digests_a_cell_counts_once_nevertheless(copy: str, tmp_path: Path) -> None:
    """As of a sweep of a version that noted none."""
    folder = two_cells(tmp_path)
    before = everything(folder)
    (folder / SUMS).unlink()
    copies(copy)(folder)
    assert everything(folder) == before
    store, _ = ResultStore.open(folder)
    assert len(store.rows()) == 2
    record(store, 2)
    store.compact()
    assert everything(folder)["trials"] == Counter(KEYS)
    assert len(list((folder / "trials").glob("*.parquet"))) == 1


def test_a_copied_description_makes_no_sweep_of_the_results_folder(tmp_path: Path) -> None:
    folder = two_cells(tmp_path)
    shutil.copy(folder / "sweep.json", folder / "sweep 2.json")
    shutil.copy(folder / "sweep.json", tmp_path / "sweep.json")
    assert load_sweep(tmp_path).attrs["path"] == str(folder)
    assert merged_with_another(tmp_path, tmp_path) == 0
