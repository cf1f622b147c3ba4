"""Joining part files while a sweep runs."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.contract.parts import digests, trace_name
from sweeps.plan.config import SweepConfig
from sweeps.store import part_files, schema
from sweeps.store.durable import parquet_bytes
from sweeps.store.part_files import Pending, joined
from sweeps.store.rows import cell_columns, rows_table
from sweeps.store.schema import TRIALS
from sweeps.store.store import ResultStore
from tests.sweeps.store.made import n_samples, record

CONFIG = SweepConfig(
    workload="inference", device=("cpu",), batch_size=tuple(range(1, 11)), precision=("fp32",), model=("m",)
)
record_cell = functools.partial(record, config=CONFIG)

TABLES = [table for table in schema.TABLES if table != "profiles"]
"""Those that every cell has a part of."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultStore:
    monkeypatch.setattr(part_files, "MAX_PARTS", 4)
    return ResultStore.create(tmp_path / "s", CONFIG, CONFIG.cells(), ["accelsweep"])


def files(store: ResultStore, table: str, kind: str) -> list[Path]:
    return sorted((store.folder / table).glob(f"{kind}-*.parquet"))


def statuses(store: ResultStore) -> dict[str, str]:
    rows = store.rows(["trial_key", "status"])
    assert len(rows) == len({row["trial_key"] for row in rows}), "no cell twice"
    return {row["trial_key"]: row["status"] for row in rows}


def test_parts_are_joined_before_there_are_many_and_nothing_is_lost(store: ResultStore) -> None:
    keys = []
    for index in range(10):
        keys.append(record_cell(store, index))
        assert statuses(store) == dict.fromkeys(keys, "complete")
        assert all(len(files(store, table, "part")) < 4 for table in TABLES)
    assert all(len(files(store, table, "compact")) == 2 for table in TABLES)
    assert n_samples(store) == dict.fromkeys(sorted(keys), 3)
    assert {key: len(rounds) for key, rounds in store.rounds(keys).items()} == dict.fromkeys(keys, 1)
    store.compact()
    assert all(len(files(store, table, "*")) == 1 for table in TABLES)
    assert statuses(store) == dict.fromkeys(keys, "complete")
    assert n_samples(store) == dict.fromkeys(sorted(keys), 3)


def test_the_digest_of_a_trace_outlasts_the_joining_of_parts(store: ResultStore) -> None:
    cell = CONFIG.cells()[0]
    store.record({**cell_columns(cell), "status": "complete"}, None, [], trace=b"of a step")
    record_cell(store, 1)
    store.compact()
    assert trace_name(cell.key) in digests(store.folder)


def test_a_cell_measured_again_after_its_part_was_joined_replaces_its_row(store: ResultStore) -> None:
    keys = [record_cell(store, index, "crashed") for index in range(6)]
    for again in (store, ResultStore.open(store.folder)[0]):
        record_cell(again, 0)
        record_cell(again, 5)
        expected = {key: "complete" if key in (keys[0], keys[5]) else "crashed" for key in keys}
        assert statuses(again) == expected
        assert n_samples(again) == dict.fromkeys(sorted(keys), 3)


def test_the_same_cells_joined_again_do_not_take_the_name_of_what_is_there(store: ResultStore) -> None:
    for _ in range(3):
        keys = [record_cell(store, index) for index in range(8)]
    assert statuses(store) == dict.fromkeys(keys, "complete")


def test_a_crash_while_joining_doubles_nothing(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [record_cell(store, index) for index in range(3)]
    before = store.folder.with_name("before")
    shutil.copytree(store.folder, before)
    keys.append(record_cell(store, 3))
    for table in TABLES:  # the joined files are there, and the parts that they replace are there still
        for part in files(ResultStore(before), table, "part"):
            shutil.copy(part, store.folder / table / part.name)
            joined_file = files(store, table, "compact")[0]
            whole = pq.read_table(joined_file, partitioning=None)
            names = str([p.name for p in files(store, table, "part")]).replace("'", '"')
            half_done = parquet_bytes(whole.replace_schema_metadata({b"compacted_parts": names.encode()}))
            store._parts.write({f"{table}/{joined_file.name}": half_done})
    again, _ = ResultStore.open(store.folder)
    assert statuses(again) == dict.fromkeys(keys, "complete")
    assert n_samples(again) == dict.fromkeys(sorted(keys), 3)


def test_an_amended_row_is_joined_as_it_was_amended(store: ResultStore) -> None:
    keys = [record_cell(store, index) for index in range(3)]
    store.amend(keys[1], {"search_role": "fastest"})
    keys.append(record_cell(store, 3))
    roles = {row["trial_key"]: row["search_role"] for row in store.rows()}
    assert roles == {**dict.fromkeys(keys), keys[1]: "fastest"}


def test_rows_in_memory_join_as_their_files_would(store: ResultStore) -> None:
    store.compacts_on_the_way = False
    rows = {
        key: row for key in (record_cell(store, i) for i in range(3)) for row in store.rows() if row["trial_key"] == key
    }
    parts = files(store, "trials", "part")
    assert joined(parts, TRIALS, rows).sort_by("trial_key") == joined(parts, TRIALS, {}).sort_by("trial_key")
    assert joined(parts, TRIALS, dict(list(rows.items())[:1])).num_rows == 3


def test_many_samples_are_joined_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "MAX_PART_BYTES", 1000)
    pending = Pending()
    pending.add({"trial_key": "a"}, pa.table({"seconds": [0.1] * 10}))
    assert not pending.is_due
    pending.add({"trial_key": "b"}, pa.table({"seconds": [0.1] * 200}))
    assert pending.is_due
    pending.clear()
    assert not pending.is_due


def test_large_files_stay_several_at_the_end(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [record_cell(store, index) for index in range(10)]
    monkeypatch.setattr(part_files, "MAX_JOINED_BYTES", 1)
    store.compact()
    assert all(len(files(store, table, "compact")) == 3 for table in TABLES)
    assert all(not files(store, table, "part") for table in TABLES)
    assert statuses(store) == dict.fromkeys(keys, "complete")
    assert rows_table([{}]).schema.equals(pq.read_schema(files(store, "trials", "compact")[0]))
