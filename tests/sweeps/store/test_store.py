"""A sweep's folder: rows that are there at once, replaced, compacted, amended."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.contract.parts import part_name
from sweeps.store.rows import rows_table
from sweeps.store.schema import SCHEMA_VERSION, TABLES, markdown_table
from sweeps.store.store import ResultStore, new_sweep_id
from tests.sweeps.store.made import n_samples, new_store, record
from workloads.base import BadInputError


def test_a_recorded_cell_is_readable_by_pandas_at_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    key = record(store, 0)
    trials = pd.read_parquet(store.folder / "trials")
    samples = pd.read_parquet(store.folder / "samples")
    assert trials["trial_key"].tolist() == [key]
    assert samples["seconds"].tolist() == [0.1, 0.2, 0.3]
    assert samples["index"].tolist() == [0, 1, 0]
    assert samples["scheduled_s"].isna().tolist() == [True, True, False]
    assert trials["energy_j"].isna().all()


def test_measuring_a_cell_again_replaces_its_row(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record(store, 0, "crashed")
    record(store, 0, "complete")
    assert [r["status"] for r in store.rows()] == ["complete"]


def test_a_file_half_written_is_not_read(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record(store, 0)
    (store.folder / "trials" / ".part-x.parquet.1.tmp").write_bytes(b"PAR1 half")
    assert len(store.rows()) == 1
    assert len(pd.read_parquet(store.folder / "trials")) == 1


def test_compaction_keeps_every_row_and_survives_a_crash_before_its_clean_up(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    keys = {record(store, i) for i in range(3)}
    parts = {p: p.read_bytes() for p in (store.folder / "trials").glob("part-*.parquet")}
    store.compact()
    assert len(list((store.folder / "trials").glob("*.parquet"))) == 1
    assert {r["trial_key"] for r in store.rows()} == keys
    for path, content in parts.items():  # as if the process had died between the rename and the removal
        path.write_bytes(content)
    again, _ = ResultStore.open(store.folder)
    assert sorted(r["trial_key"] for r in again.rows()) == sorted(keys)


def test_a_column_that_the_schema_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="surprise"):
        rows_table([{"surprise": 1}])


def test_every_column_has_a_unit_and_a_meaning() -> None:
    for schema in TABLES.values():
        for field in schema:
            assert set(field.metadata) >= {b"unit", b"meaning"}
            assert field.metadata[b"meaning"], field.name
        assert f"| `{schema.names[0]}` |" in markdown_table(schema)


def test_the_columns_metadata_is_in_the_files(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record(store, 0)
    field = pq.read_schema(next((store.folder / "trials").glob("*.parquet"))).field("setup_s")
    assert field.metadata[b"unit"] == b"s"


def test_an_unknown_sweep_names_those_there_are(tmp_path: Path) -> None:
    new_store(tmp_path)
    with pytest.raises(BadInputError, match=r"no sweep 'nothing'.*s1"):
        ResultStore.open(tmp_path / "nothing")


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    path = store.folder / "sweep.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(BadInputError, match=f"schema version {SCHEMA_VERSION + 1}"):
        ResultStore.open(store.folder)


def test_an_output_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInputError, match="--output"):
        new_store(tmp_path / "file")


def test_sweep_names_do_not_collide(tmp_path: Path) -> None:
    first = new_sweep_id("finetune", tmp_path)
    (tmp_path / first).mkdir()
    assert new_sweep_id("finetune", tmp_path) != first


def test_a_cell_measured_again_after_compaction_replaces_its_row_and_samples(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    keys = [record(store, i, "error") for i in range(3)]
    store.compact()
    record(store, 0, "complete")
    for again in (store, ResultStore.open(store.folder)[0]):
        statuses = [(row["trial_key"], row["status"]) for row in again.rows(["trial_key", "status"])]
        assert sorted(statuses) == sorted([(keys[0], "complete"), (keys[1], "error"), (keys[2], "error")])
        assert n_samples(again) == dict.fromkeys(sorted(keys), 3)


def test_an_amended_row_keeps_its_samples(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    keys = [record(store, i) for i in range(3)]
    store.compact()
    store.amend(keys[1], {"search_role": "fastest"})
    again, _ = ResultStore.open(store.folder)
    roles = {row["trial_key"]: row["search_role"] for row in again.rows(["trial_key", "search_role"])}
    assert roles == {keys[0]: None, keys[1]: "fastest", keys[2]: None}
    assert n_samples(again) == dict.fromkeys(sorted(keys), 3)


def test_nan_in_files_of_an_older_version_is_null_when_a_sweep_goes_on(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    key = record(store, 0)
    for table, column in (("trials", "throughput_items_per_s"), ("rounds", "energy_j")):
        file = store.folder / table / part_name(key)
        old = pq.read_table(file, partitioning=None)
        place = old.schema.get_field_index(column)
        nan = pa.array([math.nan] * len(old), old.schema.field(place).type)
        pq.write_table(old.set_column(place, old.schema.field(place), nan), file)
    assert [row["throughput_items_per_s"] for row in store.rows()] == [None]
    assert [entry["energy_j"] for entry in store.rounds([key])[key]] == [None]
