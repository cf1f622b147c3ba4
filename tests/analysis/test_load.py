from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.load import SCHEMA_VERSION, AnalysisError, find_sweep, load_rounds, load_samples, load_sweep
from sweeps import schema
from tests.analysis.conftest import Write, row


def test_the_analysis_reads_the_version_that_sweeps_write() -> None:
    assert SCHEMA_VERSION == schema.SCHEMA_VERSION


def test_the_latest_sweep_of_a_results_folder_is_taken(write_sweep: Write, tmp_path: Path) -> None:
    write_sweep([row()], "b", created_at="2026-01-01T00:00:00")
    latest = write_sweep([row()], "a", created_at="2026-02-01T00:00:00")
    assert find_sweep(tmp_path) == latest


def test_rows_come_in_the_order_of_the_grid(write_sweep: Write) -> None:
    frame = load_sweep(write_sweep([row(2), row(0), row(1)]))
    assert frame["trial_index"].tolist() == [0, 1, 2]


def test_columns_that_an_older_file_lacks_are_null(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    file = folder / "trials" / "part-0.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["energy_per_item_j", "stability"]), file)
    frame = load_sweep(folder)
    assert frame["energy_per_item_j"].isna().all()
    assert frame["stability"].isna().all()


def test_a_truncated_file_is_named_and_the_others_are_read(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    whole = (folder / "trials" / "part-0.parquet").read_bytes()
    (folder / "trials" / "part-1.parquet").write_bytes(whole[: len(whole) // 2])
    frame = load_sweep(folder)
    assert len(frame) == 1
    assert frame.attrs["unreadable"] == ["part-1.parquet"]


def test_parts_that_a_compacted_file_replaces_are_not_read_twice(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    table = pq.read_table(folder / "trials" / "part-0.parquet")
    table = table.replace_schema_metadata({b"compacted_parts": json.dumps(["part-0.parquet"]).encode()})
    pq.write_table(table, folder / "trials" / "compact-1.parquet")
    assert len(load_sweep(folder)) == 1


def test_no_sweep_and_newer_schemas_are_one_line_errors(write_sweep: Write, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="holds no sweep"):
        load_sweep(tmp_path)
    folder = write_sweep([row()])
    (folder / "sweep.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(AnalysisError, match="schema version"):
        load_sweep(folder)


def test_samples_are_read_by_column_and_cell(write_sweep: Write) -> None:
    samples = [
        {"trial_key": key, "phase": "measure", "round": 0, "index": i, "seconds": 0.1}
        for key in ("a", "b")
        for i in range(3)
    ]
    folder = write_sweep([row()], samples=samples)
    frame = load_samples(folder, columns=["trial_key", "seconds"], keys=["b"])
    assert frame.columns.tolist() == ["trial_key", "seconds"]
    assert frame["trial_key"].tolist() == ["b"] * 3
    assert load_rounds(folder).empty
