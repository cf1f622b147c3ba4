"""When a running sweep's part files are joined, and how: cells by the thousand must not become files by the thousand.

A part of the trials table takes 5 ms to read back, for its 155 columns, however little is in it; so rows written since
the last compaction are kept in memory and joined from there. Samples may be many: they are read back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.contract.cells import Row
from analysis.contract.parts import compacted_name, key_of
from sweeps.store.durable import free_path

MAX_PARTS = 500
"""Parts of a table that are joined before there are more."""
MAX_PART_BYTES = 256 * 2**20
"""Bytes of samples that are joined before there are more: they are all in memory then."""
MAX_JOINED_BYTES = 512 * 2**20
"""Files of a table that together are larger than this on the disk stay several when the sweep ends."""


class Pending:
    """What has been written in parts since the last compaction."""

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
    files = [part for part in parts if key_of(part) not in rows]
    read = (pq.read_table(file, schema=schema, partitioning=None, use_threads=False) for file in files)
    return pa.concat_tables([pa.Table.from_pylist(held, schema=schema), *read])


def is_small(files: Sequence[Path]) -> bool:
    """Whether files are joined into one when the sweep ends."""
    return sum(file.stat().st_size for file in files) <= MAX_JOINED_BYTES


def new_name(folder: Path, word: str) -> Path:
    """A compacted file that is not there yet: cells measured again could give one the name of another."""
    return free_path(lambda ending: folder / compacted_name(word + ending))


def keys_in(files: Sequence[Path]) -> set[str]:
    """The cells in compacted files."""
    tables = (pq.read_table(file, columns=["trial_key"], partitioning=None) for file in files)
    return {key for table in tables for key in table["trial_key"].unique().to_pylist()}
