"""Reading a table's Parquet files whatever state they are in: half written, of older schemas, compacted or not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.contract.parts import (
    is_compacted,
    key_of,
    parts_first,
    replaced_by,
    without_doubles,
    without_nan,
)

MIN_ROWS_FOR_THREADS = 10_000
"""Of fewer rows threads only wait for one another."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a table's files hold."""

    table: pa.Table | None  # all rows; None where no file could be read
    unreadable: list[str]  # names of files skipped: truncated, no Parquet, or of types that do not fit the others
    schema_version: int | None  # the newest that a file says it is of; None where none says


def read_parts(
    files: Sequence[Path], columns: Sequence[str] | None = None, keys: Collection[str] | None = None
) -> Parts:
    """Read the files of a table, in the order of its rows, as one, and name those that cannot be read.

    By default all is read; else of the columns those that a file has, and of the cells those with these ``trial_key``.
    """
    read: list[tuple[Path, pa.Table]] = []
    unreadable: list[str] = []
    superseded: set[str] = set()
    versions: list[int] = []
    # A crash can leave a compacted file and the parts that it replaces; it names them, so it is read first.
    for file in sorted(files, key=lambda f: not is_compacted(f)):
        key = key_of(file)  # of a file of one cell; those of others need not be opened
        if file.name in superseded or (keys is not None and key is not None and key not in keys):
            continue
        try:
            table, metadata = _read_file(file, columns, keys)
        except (pa.ArrowException, OSError, ValueError):
            unreadable.append(file.name)
            continue
        superseded |= replaced_by(file, metadata)
        versions += [int(metadata[b"schema_version"])] if b"schema_version" in metadata else []
        read.append((file, table))
    joined, misfits = _join(_once(read, columns))
    joined = None if joined is None else without_nan(joined)
    return Parts(table=joined, unreadable=sorted(unreadable + misfits), schema_version=max(versions, default=None))


def _once(
    read: Sequence[tuple[Path, pa.Table]], columns: Sequence[str] | None
) -> list[tuple[Path, pa.Table]]:  # fmt: skip
    """The tables with each cell's rows once, and of the columns asked for."""
    tables = dict(read)
    files = parts_first(tables)
    once = zip(files, without_doubles(tables[file] for file in files), strict=True)
    return [(f, t if columns is None else t.select([c for c in columns if c in t.column_names])) for f, t in once]


def unreadable_files(files: Iterable[Path], strange: Iterable[str] = ()) -> list[str]:
    """Names of files that are not a table's own, or cannot be read, of which only the ends are looked at."""
    found = list(strange)
    for file in files:
        try:
            pq.read_metadata(file)
        except (pa.ArrowException, OSError):
            found.append(file.name)
    return found


def _read_file(
    file: Path, columns: Sequence[str] | None, keys: Collection[str] | None
) -> tuple[pa.Table, dict[bytes, bytes]]:
    opened = pq.ParquetFile(file, page_checksum_verification=True)
    schema = opened.schema_arrow
    names = None if columns is None else [c for c in dict.fromkeys(["trial_key", *columns]) if c in schema.names]
    if keys is None:
        is_large = opened.metadata.num_rows >= MIN_ROWS_FOR_THREADS
        return opened.read(columns=names, use_threads=is_large), schema.metadata or {}
    chosen = pc.field("trial_key").isin(list(keys))
    table = pq.read_table(file, columns=names, filters=chosen, partitioning=None, page_checksum_verification=True)
    return table, schema.metadata or {}


def _join(read: Sequence[tuple[Path, pa.Table]]) -> tuple[pa.Table | None, list[str]]:
    """One table of all, null where one lacks a column; and the names of files whose types do not fit the first's."""
    kinds: dict[str, list[tuple[Path, pa.Table]]] = {}
    for file, table in read:
        kind = table.schema.to_string(show_field_metadata=False, show_schema_metadata=False)
        kinds.setdefault(kind, []).append((file, table))
    joined: pa.Table | None = None
    misfits: list[str] = []
    for alike in kinds.values():
        whole = pa.concat_tables([table.replace_schema_metadata(None) for _, table in alike], promote_options="default")
        try:
            joined = whole if joined is None else pa.concat_tables([joined, whole], promote_options="permissive")
        except pa.ArrowException:
            misfits += [file.name for file, _ in alike]
    return joined, misfits
