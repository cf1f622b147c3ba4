"""Names of part files, for writer and reader."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa

from analysis.contract.parts import (
    COMPACTED,
    PARTS,
    as_metadata,
    compacted_name,
    files_of,
    is_compacted,
    key_of,
    part_name,
    replaced_by,
    without_nan,
)

KEY = "0123456789abcdef"


def test_names_are_read_back(tmp_path: Path) -> None:
    part, compacted = tmp_path / part_name(KEY), tmp_path / compacted_name("2-x")
    for file in (part, compacted, tmp_path / ".part.tmp.parquet", tmp_path / "SHA256SUMS"):
        file.touch()
    assert (key_of(part), key_of(compacted), is_compacted(part), is_compacted(compacted)) == (KEY, None, False, True)
    assert files_of(tmp_path) == [compacted, part]
    assert (files_of(tmp_path, PARTS), files_of(tmp_path, COMPACTED)) == ([part], [compacted])


def test_a_compacted_file_names_what_it_replaces_but_not_itself() -> None:
    file = Path(compacted_name("2-x"))
    assert replaced_by(file, as_metadata([Path(part_name(KEY)), file])) == {part_name(KEY)}
    assert replaced_by(file, None) == replaced_by(file, {}) == set()


def test_nan_of_older_versions_is_null_and_nothing_else_changes() -> None:
    table = pa.table({"a": [1.0, math.nan, None, math.inf], "b": [1, 2, 3, None], "c": ["x", None, "z", "nan"]})
    read = without_nan(table)
    assert read["a"].to_pylist() == [1.0, None, None, math.inf]
    assert read.schema == table.schema
    assert read.drop(["a"]) == table.drop(["a"])
