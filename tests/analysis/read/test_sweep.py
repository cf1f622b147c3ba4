from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.read.sweep import (
    SCHEMA_VERSION,
    AnalysisError,
    find_sweep,
    load_rounds,
    load_samples,
    load_sweep,
    unreadable_parts,
)
from sweeps.store import schema
from tests.analysis.conftest import Write, row

ROOT = Path(__file__).parent.parent.parent.parent


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
    with pytest.raises(AnalysisError, match="contains no sweep"):
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


def test_a_folder_is_named_whether_or_not_it_is_there(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="no such folder"):
        load_sweep(tmp_path / "absent")


def test_a_sweep_whose_description_cannot_be_read_does_not_hide_the_others(write_sweep: Write, tmp_path: Path) -> None:
    sound = write_sweep([row()], "a")
    broken = write_sweep([row()], "b")
    (broken / "sweep.json").write_text("{ half")
    assert find_sweep(tmp_path) == sound
    with pytest.raises(AnalysisError, match="is not JSON"):
        load_sweep(broken)


def test_a_single_file_is_read_and_one_that_is_no_parquet_is_refused(write_sweep: Write, tmp_path: Path) -> None:
    file = write_sweep([row(), row(1)]) / "trials" / "part-0.parquet"
    assert len(load_sweep(file)) == 2
    other = tmp_path / "notes.parquet"
    other.write_text("no Parquet")
    with pytest.raises(AnalysisError, match="is not a complete Parquet file"):
        load_sweep(other)


def test_a_newer_schema_is_refused_where_only_the_parquet_file_tells(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    file = folder / "trials" / "part-0.parquet"
    newer = pq.read_table(file).replace_schema_metadata({b"schema_version": str(SCHEMA_VERSION + 1).encode()})
    pq.write_table(newer, file)
    (folder / "sweep.json").unlink()
    with pytest.raises(AnalysisError, match="schema version 2; this analysis reads up to 1"):
        load_sweep(folder)


def test_files_of_an_older_and_a_newer_release_make_one_frame(write_sweep: Write) -> None:
    folder = write_sweep([row(0)])
    file = folder / "trials" / "part-0.parquet"
    older = pa.Table.from_pylist([row(1)], schema=schema.TRIALS).drop_columns(["stability"])
    pq.write_table(older.set_column(older.schema.get_field_index("batch_size"), "batch_size", pa.array([8], pa.int32())),
                   file.with_name("part-1.parquet"))  # fmt: skip
    frame = load_sweep(folder)
    assert frame["batch_size"].tolist() == [8, 8]
    assert frame["stability"].isna().tolist() == [False, True]


def test_a_file_whose_types_contradict_the_others_is_named_and_skipped(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    wrong = pa.table({"trial_key": ["k9"], "trial_index": pa.array([[1, 2]])})
    pq.write_table(wrong, folder / "trials" / "part-1.parquet")
    frame = load_sweep(folder)
    assert frame["trial_key"].tolist() == ["k000"]
    assert frame.attrs["unreadable"] == ["part-1.parquet"]


def test_reading_some_cells_does_not_open_the_parts_of_others(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    keys = [f"{i:016x}" for i in range(3)]
    for key in keys:
        samples = [{"trial_key": key, "phase": "measure", "round": 0, "index": 0, "seconds": 0.1}]
        pq.write_table(pa.Table.from_pylist(samples, schema=schema.SAMPLES), folder / "samples" / f"part-{key}.parquet")
    (folder / "samples" / f"part-{keys[2]}.parquet").write_text("broken")
    frame = load_samples(folder, keys=keys[:1])
    assert frame["trial_key"].tolist() == keys[:1]
    assert frame.attrs["unreadable"] == []
    assert load_samples(folder).attrs["unreadable"] == [f"part-{keys[2]}.parquet"]
    assert unreadable_parts(folder) == [f"part-{keys[2]}.parquet"]


def test_the_list_of_cells_is_not_carried_along(write_sweep: Write) -> None:
    folder = write_sweep([row()])
    description = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps(description | {"cells": [{"key": "k000"}] * 1000}))
    assert "cells" not in load_sweep(folder).attrs["description"]


def test_the_loaders_come_from_the_package_which_imports_nothing_heavy_by_itself(write_sweep: Write) -> None:
    folder = write_sweep(
        [row()], samples=[{"trial_key": "k000", "phase": "measure", "round": 0, "index": 0, "seconds": 0.1}]
    )
    code = f"""
import sys
import analysis
heavy = {{"pandas", "pyarrow", "matplotlib", "torch", "ray"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from analysis import load_rounds, load_samples, load_sweep
assert len(load_sweep({str(folder)!r})) == len(load_samples({str(folder)!r})) == 1
assert load_rounds({str(folder)!r}).empty
assert not {{"torch", "ray", "sweeps", "matplotlib"}} & set(sys.modules)
try:
    analysis.load_nothing
except AttributeError as error:
    assert "load_nothing" in str(error)
else:
    raise AssertionError("a name that is not there was found")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
