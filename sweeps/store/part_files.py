"""The Parquet files of a sweep's tables: written with their digests, joined, and repaired after a crash or bad disk.

Parts are joined while the sweep runs: cells by the thousand must not become files by the thousand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.contract.cells import Row
from analysis.contract.parts import (
    ALL,
    COMPACTED,
    DESCRIPTION,
    REPLACES,
    TRACES,
    as_metadata,
    compacted_name,
    key_of,
    own_files,
    parts_first,
    replaced_by,
    strangers,
    without_doubles,
    without_nan,
    written,
)
from sweeps.store.checksums import Checksums
from sweeps.store.durable import flush_folder, free_path, parquet_bytes, read_table, write_durably
from sweeps.store.schema import TABLES

DAMAGED = "damaged"
"""Folder of a sweep in which files that are not what was written are kept."""
MAX_PARTS = 500
"""Parts of a table that are joined before there are more."""
MAX_PART_BYTES = 256 * 2**20
"""Bytes of samples that are joined before there are more: they are all in memory then."""
MAX_JOINED_BYTES = 512 * 2**20
"""Files of a table that together are larger than this on the disk stay several when the sweep ends."""


class Pending:
    """What has been written in parts since the last compaction.

    A part of the trials table takes 3 ms to read back, for its 220 columns, however little is in it; so rows are kept
    in memory and joined from there. Samples may be many: they are read back.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        """Of the trials table, by the cell's key."""
        self._n_bytes = 0

    def add(self, row: Row, samples: pa.Table | None) -> None:
        """Take a cell that is on the disk now."""
        self.rows[row["trial_key"]] = row
        self._n_bytes += 0 if samples is None else samples.nbytes

    @property
    def is_due(self) -> bool:
        """There is enough to be joined."""
        return len(self.rows) >= MAX_PARTS or self._n_bytes >= MAX_PART_BYTES

    def clear(self) -> None:
        self.rows.clear()
        self._n_bytes = 0


def joined(parts: Sequence[Path], schema: pa.Schema, rows: Mapping[str, Row]) -> pa.Table:
    """Part files of one table as one; those of ``rows``, in memory by the cell's key, need not be read."""
    held = [dict(rows[key]) for part in parts if (key := key_of(part) or "") in rows]
    files = parts_first(part for part in parts if key_of(part) not in rows)
    read = (in_schema(file, schema) for file in files)
    return pa.concat_tables(without_doubles([pa.Table.from_pylist(held, schema=schema), *read]))


def in_schema(file: Path, schema: pa.Schema) -> pa.Table:
    """A file as a table of today's columns, null where it is of an older version."""
    table = read_table(file)
    return table if table.schema.equals(schema) else pq.read_table(file, schema=schema, partitioning=None)


def keys_in(files: Sequence[Path]) -> set[str]:
    """The cells in compacted files."""
    tables = (read_table(file, ["trial_key"]) for file in files)
    return {key for table in tables for key in table["trial_key"].unique().to_pylist()}


class PartFiles:
    """A part file for each cell and table in a sweep's folder, and the compacted files that replace them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._sums = folder, Checksums(folder)
        self.damaged: list[str] = []
        """Files that were not what had been written, by their names in the folder."""
        self._left_out: frozenset[str] = frozenset()
        """Damaged files that are still in their tables, where nothing reads them."""
        self._compacted: set[str] | None = None
        self._written = written(folder)

    def of(self, table: str, pattern: re.Pattern[str] = ALL) -> list[Path]:
        """The sweep's own files of a table, by name."""
        found = own_files(self._folder / table, pattern, self._written)
        return [file for file in found if f"{table}/{file.name}" not in self._left_out]

    def names(self) -> list[str]:
        """The files of all tables, by their names in the folder."""
        return [f"{table}/{file.name}" for table in TABLES for file in self.of(table)]

    def strangers(self) -> list[str]:
        """What lies among the tables and is not the sweep's own, by its names in the folder."""
        return [f"{table}/{name}" for table in TABLES for name in strangers(self._folder / table)]

    def read(
        self, table: str, columns: Sequence[str] | None = None, keys: Collection[str] | None = None
    ) -> list[pa.Table]:
        """The rows of a table, of all cells or of some, each once, null for NaN; columns include ``trial_key``."""
        files = parts_first(self.of(table))
        if keys is None:
            read = (read_table(file, columns) for file in files)
        else:
            chosen = pc.field("trial_key").isin(list(keys))
            read = (pq.read_table(file, columns=columns, partitioning=None, filters=chosen) for file in files)
        return [without_nan(table) for table in without_doubles(read)]

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Write files durably in this order, after their digests."""
        self._sums.note(contents)
        if DESCRIPTION in contents:
            self._written = written(self._folder)
        elif self._written is not None:
            self._written.update(contents)
        for name, content in contents.items():
            write_durably(self._folder / name, lambda file, content=content: file.write(content))

    def is_damaged(self, name: str) -> bool:
        """Whether a file does not fit its digest; False where none was noted."""
        return name in self._sums.noted() and bool(self._sums.damaged([name]))

    def check(self) -> None:
        """Find the files that are damaged."""
        self.damaged = self._sums.damaged(self.names())
        self._left_out = frozenset(self.damaged)

    def repair(self) -> None:
        """Set damaged files aside and finish what a crash left half done."""
        for table in TABLES:
            (self._folder / table).mkdir(exist_ok=True)
        self._set_aside()
        self._finish_compaction()
        for table in TABLES:
            keys = {key for part in self.of(table) if (key := key_of(part))}
            if keys:  # a crash between writing a part and evicting the row that it replaces
                self.evict(table, keys)

    def evict(self, table: str, keys: set[str]) -> None:
        """Drop cells from a table's compacted file, where parts of their own have replaced them."""
        for file in self.of(table, COMPACTED):
            whole = read_table(file)
            kept = whole.filter(pc.invert(pc.is_in(whole["trial_key"], pa.array(sorted(keys), pa.string()))))
            if len(kept) < len(whole):
                self.write({f"{table}/{file.name}": parquet_bytes(kept)})

    def compacted_keys(self) -> set[str]:
        """Cells that compacted files have, which a new part would double; looked up once."""
        if self._compacted is None:
            self._compacted = keys_in([file for table in TABLES for file in self.of(table, COMPACTED)])
        return self._compacted

    def compact(self, pattern: re.Pattern[str] = ALL, rows: Mapping[str, Row] | None = None) -> None:
        """Join files of each table into one, or their parts alone where all of them are very large.

        The new file names the parts it replaces, so that a crash between its rename and their removal
        can be finished by the next opening.

        Args:
            pattern: Of the files that are joined.
            rows: Rows of trials by the cell's key that are in memory, whose parts need not be read back.
        """
        for table, schema in TABLES.items():
            parts = self.of(table, pattern)
            if sum(part.stat().st_size for part in parts) > MAX_JOINED_BYTES:
                parts = [part for part in parts if key_of(part)]
            if len(parts) < 2:
                continue
            whole = joined(parts, schema, (rows or {}) if table == "trials" else {})
            whole = whole.replace_schema_metadata({**(schema.metadata or {}), **as_metadata(parts)})
            word, folder = f"{len(whole)}-{parts[-1].stem[-8:]}", self._folder / table
            # Cells measured again could give a file the name of another.
            path = free_path(folder, compacted_name(f"{word}{{}}"))
            self.write({f"{table}/{path.name}": parquet_bytes(whole)})
            self.compacted_keys().update(key for part in parts if (key := key_of(part)))
        self._finish_compaction()
        traces = (f"{TRACES}/{file.name}" for file in (self._folder / TRACES).glob("*.json.gz"))
        self._sums.tidy([DESCRIPTION, *self.names(), *traces])
        pa.default_memory_pool().release_unused()

    def _finish_compaction(self) -> None:
        """Remove the parts that compacted files replace, then forget their names.

        A cell measured again later has a part of the same name.
        """
        for table, schema in TABLES.items():
            for file in self.of(table, COMPACTED):
                if not file.exists():  # it was itself joined into one that came before
                    continue
                metadata = pq.read_schema(file).metadata
                for name in replaced_by(file, metadata):
                    (self._folder / table / name).unlink(missing_ok=True)
                if REPLACES in (metadata or {}):
                    flush_folder(file.parent)
                    whole = read_table(file).replace_schema_metadata(schema.metadata)
                    self.write({f"{table}/{file.name}": parquet_bytes(whole)})

    def _set_aside(self) -> None:
        """Move damaged files out of the tables, so that no reader takes them for results."""
        for name in self.damaged:
            (self._folder / DAMAGED).mkdir(exist_ok=True)
            aside = free_path(self._folder / DAMAGED, f"{name.replace('/', '-')}{{}}", joint=".")
            (self._folder / name).replace(aside)
        self._left_out = frozenset()  # their cells, measured again, have parts of the same names
        if self.damaged:
            for folder in (DAMAGED, *TABLES):
                flush_folder(self._folder / folder)
