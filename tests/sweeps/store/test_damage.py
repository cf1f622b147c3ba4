"""Files cut short and bits flipped on disk: named, set aside, and their cells measured again."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest

from sweeps.store.checksums import SUMS, Checksums
from sweeps.store.part_files import DAMAGED
from sweeps.store.rows import cell_columns, samples_table
from sweeps.store.store import ResultStore
from tests.sweeps.store.made import CONFIG, new_store, record
from workloads.base import BadInputError


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def recorded(folder: Path) -> tuple[ResultStore, list[str]]:
    """A sweep of three cells, each with its samples."""
    store = new_store(folder)
    keys = [record(store, i) for i in range(3)]
    for index, key in enumerate(keys):
        row = {**cell_columns(CONFIG.cells()[index]), "status": "complete", "n_samples": 2, "n_rounds": 1}
        blocks = [("measure", 0, np.array([0.1, 0.2]), None)]
        store.record(row, samples_table(key, blocks), [{"round": 0, "seconds": 0.3, "elapsed_s": 0.3, "items": 2}])
    return store, keys


def keys_of(store: ResultStore) -> set[str]:
    return {row["trial_key"] for row in store.rows()}


def test_every_single_flipped_bit_is_found(tmp_path: Path) -> None:
    """Of a row's file 400 bits over its whole length, the footer included, one at a time."""
    store, keys = recorded(tmp_path)
    sums, name = Checksums(store.folder), f"trials/part-{keys[0]}.parquet"
    path = store.folder / name
    whole = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(whole)), 400):
        flip(path, bit)
        assert sums.damaged([name]) == [name]
        path.write_bytes(whole)
    assert sums.damaged([name]) == []


@pytest.mark.parametrize("how", ["flipped", "truncated", "emptied"])
@pytest.mark.parametrize("table", ["trials", "samples", "rounds"])
def test_a_damaged_part_is_set_aside_and_its_cell_is_to_be_measured_again(tmp_path: Path, table: str, how: str) -> None:
    store, keys = recorded(tmp_path)
    path = store.folder / table / f"part-{keys[1]}.parquet"
    size = path.stat().st_size
    if how == "flipped":
        flip(path, 8 * (size // 2))
    else:
        path.write_bytes(path.read_bytes()[: size - 9 if how == "truncated" else 0])
    damaged = path.read_bytes()
    again, _ = ResultStore.open(store.folder)
    assert again.damaged == [f"{table}/part-{keys[1]}.parquet"]
    assert (store.folder / DAMAGED / f"{table}-part-{keys[1]}.parquet").read_bytes() == damaged
    assert keys_of(again) - again.incomplete() == {keys[0], keys[2]}
    once_more, _ = ResultStore.open(store.folder)
    assert once_more.damaged == []
    assert keys_of(once_more) - once_more.incomplete() == {keys[0], keys[2]}, "also when the first resume was cut short"
    record(once_more, 1)
    assert keys_of(once_more) - once_more.incomplete() == set(keys)


def test_a_cell_measured_again_in_the_place_of_a_damaged_one_counts_at_once(tmp_path: Path) -> None:
    store, keys = recorded(tmp_path)
    flip(store.folder / "trials" / f"part-{keys[1]}.parquet", 1000)
    again, _ = ResultStore.open(store.folder)
    record(again, 1)
    assert keys_of(again) - again.incomplete() == set(keys), "not only when the sweep is opened once more"
    again.compact()
    assert keys_of(again) == set(keys)
    assert len(list((store.folder / "trials").glob("*.parquet"))) == 1


@pytest.mark.parametrize("table", ["trials", "samples", "rounds"])
def test_a_damaged_compacted_file_is_set_aside_with_all_its_cells(tmp_path: Path, table: str) -> None:
    store, keys = recorded(tmp_path)
    store.compact()
    (compacted,) = (store.folder / table).glob("compact-*.parquet")
    flip(compacted, 8 * (compacted.stat().st_size // 2))
    again, _ = ResultStore.open(store.folder)
    assert again.damaged == [f"{table}/{compacted.name}"]
    assert keys_of(again) - again.incomplete() == set()
    record(again, 0)
    assert keys_of(ResultStore.open(store.folder)[0]) - again.incomplete() == {keys[0]}


def test_a_finished_folder_passes_sha256sum(tmp_path: Path) -> None:
    store, _ = recorded(tmp_path)
    store.compact()
    lines = [line.split("  ") for line in (store.folder / SUMS).read_text().splitlines()]
    assert sorted(name for _, name in lines) == sorted(["sweep.json", *store._parts.names()])
    for digest, name in lines:
        assert hashlib.sha256((store.folder / name).read_bytes()).hexdigest() == digest


def test_a_crash_between_the_digest_and_the_file_costs_nothing(tmp_path: Path) -> None:
    store, keys = recorded(tmp_path)
    Checksums(store.folder).note({f"trials/part-{keys[0]}.parquet": b"never written"})
    with (store.folder / SUMS).open("ab") as file:
        file.write(b"0123456789abcdef  trials/par")  # cut in the middle of a line
    record(store, 2)
    again, _ = ResultStore.open(store.folder)
    assert again.damaged == []
    assert keys_of(again) == set(keys)


def test_a_damaged_description_is_told(tmp_path: Path) -> None:
    store, _ = recorded(tmp_path)
    path = store.folder / "sweep.json"
    path.write_text(path.read_text().replace('"batch_size": 2', '"batch_size": 6'))
    with pytest.raises(BadInputError, match=r"sweep\.json.*damaged"):
        ResultStore.open(store.folder)


def test_results_of_a_version_without_digests_are_read_and_their_cut_files_found(tmp_path: Path) -> None:
    store, keys = recorded(tmp_path)
    (store.folder / SUMS).unlink()
    path = store.folder / "trials" / f"part-{keys[0]}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    again, _ = ResultStore.open(store.folder)
    assert again.damaged == [f"trials/{path.name}"]
    assert keys_of(again) == set(keys[1:])


def test_looking_at_a_sweep_changes_nothing(tmp_path: Path) -> None:
    store, keys = recorded(tmp_path)
    path = store.folder / "trials" / f"part-{keys[0]}.parquet"
    flip(path, 100)
    before = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*"))
    seen, _ = ResultStore.open(store.folder, is_read_only=True)
    assert keys_of(seen) == set(keys[1:])
    assert sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*")) == before


def test_reports_leave_out_a_page_that_is_damaged_and_name_its_file(tmp_path: Path) -> None:
    from analysis.read.sweep import load_sweep

    store, keys = recorded(tmp_path)
    path = store.folder / "trials" / f"part-{keys[0]}.parquet"
    content = path.read_bytes()
    # In a page of the key's column, where its length stands before it: the file is otherwise whole.
    at = content.index(len(keys[0]).to_bytes(4, "little") + keys[0].encode())
    flip(path, 8 * (at + 4))
    frame = load_sweep(store.folder)
    assert frame.attrs["unreadable"] == [path.name]
    assert set(frame["trial_key"]) == set(keys[1:])
