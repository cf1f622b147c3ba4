"""Durable rows: replaced, joined, read again after a crash in between."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.subjects.coverage.load import load_coverage
from sweeps.coverage.plan import OperationCell, cells_of
from sweeps.coverage.store import CoverageStore
from sweeps.store.operation_columns import OPERATIONS
from sweeps.store.rows import rows_table
from workloads.base import BadInputError

CELL = OperationCell(source="database", operation="svd", family="linear algebra", dtype="fp32", device="cpu")


def row(key: str = "a1", direction: str = "forward", **values: object) -> dict[str, object]:
    return {"operation_key": key, "operation": "svd", "direction": direction, "verdict": "supported", **values}


@pytest.fixture
def store(tmp_path: Path) -> CoverageStore:
    return CoverageStore.create(tmp_path / "s1", {"cells": [], "n_cells": 0}, {"torch.relu": []})


def test_a_cell_recorded_again_replaces_its_rows(store: CoverageStore) -> None:
    store.record([row(), row(direction="backward")])
    store.record([row(verdict="crashed")])
    assert [r["verdict"] for r in store.rows_by_cell()["a1"]] == ["crashed"]


def test_joined_rows_are_the_same_rows_and_give_way_to_later_parts(store: CoverageStore) -> None:
    store.record([row("a1"), row("a1", "backward")])
    store.record([row("a2", timing_elements=[1, 2], timing_device_s=[0.1, 0.2])])
    before = store.rows_by_cell()
    store.compact()
    assert [p.name for p in (store.folder / "operations").iterdir()] == ["all-000001.parquet"]
    assert CoverageStore.open(store.folder).rows_by_cell() == before
    store.record([row("a2", verdict="timeout")])
    assert store.rows_of("a2")[0]["verdict"] == "timeout"
    store.compact()
    found = store.rows_by_cell()
    assert {k: len(v) for k, v in found.items()} == {"a1": 2, "a2": 1}
    assert found["a2"][0]["verdict"] == "timeout"


def test_the_recording_and_the_request_are_read_back(store: CoverageStore) -> None:
    opened = CoverageStore.open(store.folder)
    assert opened.recording() == {"torch.relu": []}
    assert opened.description["sweep_id"] == "s1"


def test_a_column_that_the_schema_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        rows_table([row(nonsense=1)], OPERATIONS)


def test_a_folder_that_is_no_coverage_sweep_is_bad_usage(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no coverage sweep 'other'"):
        CoverageStore.open(tmp_path / "other")


def test_a_cell_has_the_same_key_everywhere_and_another_one_for_another_type() -> None:
    assert CELL.key == OperationCell(**CELL.as_dict()).key
    assert CELL.key != OperationCell(**{**CELL.as_dict(), "dtype": "fp16"}).key
    assert CELL.key == OperationCell(**{**CELL.as_dict(), "family": "renamed"}).key


def test_cells_are_the_types_that_an_operation_has_on_every_device() -> None:
    listed = [{"source": "database", "name": "svd", "family": "f", "dtypes": ["fp32", "fp16"]},
              {"source": "database", "name": "gcd", "family": "f", "dtypes": ["int8"]}]  # fmt: skip
    cells = cells_of(listed, ["cpu"], ["fp32", "int8"])
    assert [(c.operation, c.dtype) for c in cells] == [("svd", "fp32"), ("gcd", "int8")]


def test_what_an_exception_says_is_kept_without_the_users_home(
    store: CoverageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/zanzibar7")
    store.record([row(reason="cannot open /home/zanzibar7/x y/lib.so: \udcff", not_timed="/home/bob: no")])
    (kept,) = store.rows_of("a1")
    assert (kept["reason"], kept["not_timed"]) == (r"cannot open ~/x y/lib.so: \udcff", "~: no")


@pytest.mark.parametrize("content", ["[]", "null", "[" * 100_000, "{}"])
def test_a_broken_description_is_bad_usage(store: CoverageStore, content: str) -> None:
    (store.folder / "coverage.json").write_text(content)
    with pytest.raises(BadInputError, match="s1"):
        CoverageStore.open(store.folder)


@pytest.mark.parametrize(
    "name", ["part-{} 2.parquet", "all-000001 (1).parquet", "._all-000001.parquet", "compact-2-x.parquet"]
)
def test_copies_beside_the_files_are_no_rows_and_in_nobodys_way(name: str, store: CoverageStore) -> None:
    store.record([{**CELL.columns, **row()}])
    part = next((store.folder / "operations").iterdir())
    copy = part.with_name(name.format(part.stem.removeprefix("part-")))
    shutil.copy(part, copy)
    assert len(store.rows()) == 1
    named = [] if name.startswith(".") else [copy.name]
    assert load_coverage(store.folder).attrs["unreadable"] == named
    assert store.left_out() == named
    store.compact()
    assert {file.name for file in part.parent.iterdir()} == {"all-000001.parquet", copy.name}
    assert len(load_coverage(store.folder)) == 1


@pytest.mark.parametrize("content", [b"", b"PAR1 cut off"])
def test_a_file_that_cannot_be_read_is_named_kept_and_its_cell_is_asked_again(
    content: bytes, store: CoverageStore
) -> None:
    store.record([{**CELL.columns, **row("a1")}])
    store.compact()
    store.record([{**CELL.columns, **row("a2")}])
    part = store.folder / "operations" / "part-a2.parquet"
    part.write_bytes(content)
    assert set(store.rows_by_cell()) == {"a1"}
    assert store.left_out() == [part.name]
    store.compact()
    assert part.read_bytes() == content
    store.record([{**CELL.columns, **row("a2")}])
    assert (set(store.rows_by_cell()), store.left_out()) == ({"a1", "a2"}, [])


def test_a_nan_of_an_older_version_is_null(store: CoverageStore) -> None:
    store.record([{**CELL.columns, **row("a1", max_abs_diff=float("nan"))}])
    store.record([{**CELL.columns, **row("a2", max_abs_diff=float("inf"))}])
    found = load_coverage(store.folder).sort_values("operation_key")["max_abs_diff"]
    assert found.isna().tolist() == [True, False]
