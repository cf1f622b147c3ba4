"""Durable Parquet: a cell's row, samples and rounds are on disk before the next cell starts.

One part file per cell and table, written under a temporary name, flushed to the disk and renamed. The
trial row comes last, so that a row is the sign that its samples are whole. Because a part is named by the
cell's key, measuring a cell again replaces its row instead of adding a second one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweeps.chooser import SampleBlock
from sweeps.compaction import Pending, is_small, joined, key_of, keys_in, new_name
from sweeps.config import SweepConfig, TrialConfig
from sweeps.schema import ROUNDS, SAMPLES, SCHEMA_VERSION, TABLES, TRIALS
from sweeps.text import encodable, one_line, without_home
from workloads.base import BadInputError

DESCRIPTION = "sweep.json"


def _flush_folder(folder: Path) -> None:
    """Make a rename in the folder durable (POSIX: the folder itself must be flushed)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, write: Any) -> None:
    """Write a file so that after a crash it is there whole or not at all.

    Args:
        path: The final name.
        write: Called with a binary file to write to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file durably."""
    write_durably(path, lambda file: pq.write_table(table, file, compression="zstd"))


def row_table(row: Mapping[str, Any]) -> pa.Table:
    """One row as a table of the trials schema; what the row lacks is null.

    Raises:
        ValueError: If the schema lacks a column, or a value does not fit its column; each is named.
    """
    fitting, misfits = fit(row, TRIALS)
    if misfits:
        raise ValueError("; ".join(misfits))
    return pa.Table.from_pylist([fitting], schema=TRIALS)


def fit(row: Mapping[str, Any], schema: pa.Schema) -> tuple[dict[str, Any], list[str]]:
    """What of a row its table can hold, and a sentence for each value that it cannot.

    A workload of others may say anything of itself; what it says wrong must not cost the rest of the row. Text that
    UTF-8 cannot hold, such as a file's name of other bytes, is kept with those bytes as escapes.
    """
    fitting: dict[str, Any] = {}
    misfits = []
    for name, value in row.items():
        if name not in schema.names:
            misfits.append(f"there is no column {name!r}")
            continue
        kind = schema.field(name).type
        try:
            fitting[name] = pa.scalar(_plain(value, kind), kind).as_py()
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            misfits.append(f"column {name!r} holds {kind}, not {one_line(repr(value))}")
    return fitting, misfits


def _plain(value: Any, kind: pa.DataType) -> Any:
    """A value without what Arrow would take silently: half a whole number, bytes that are no text."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, bytes) or (pa.types.is_integer(kind) and isinstance(value, float) and value != int(value)):
        raise ValueError(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and pa.types.is_floating(kind) else value


class ResultStore:
    """The folder of one sweep.

    Attributes:
        folder: ``RESULTS/SWEEP_ID``.
        sweep_id: Its name.
        compacts_on_the_way: Parts are joined while the sweep runs; not where cells are recorded again and again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sweep_id = folder.name
        self.compacts_on_the_way = True
        self._pending = Pending()
        self._compacted: set[str] | None = None

    @classmethod
    def create(
        cls, folder: Path, config: SweepConfig, cells: Sequence[TrialConfig], command: Sequence[str]
    ) -> ResultStore:
        """Make a new sweep's folder with its description.

        Raises:
            BadInputError: If the folder cannot be written.
        """
        store = cls(folder)
        try:
            for name in TABLES:
                (folder / name).mkdir(parents=True, exist_ok=True)
            store.describe(config, cells, command)
        except OSError as error:
            raise BadInputError(f"--output: cannot write to {str(folder.parent)!r} ({error.strerror})") from error
        return store

    def describe(self, config: SweepConfig, cells: Sequence[TrialConfig], command: Sequence[str]) -> None:
        """Write ``sweep.json``: what was asked, so that it can be resumed and reproduced."""
        description = {
            "schema_version": SCHEMA_VERSION,
            "sweep_id": self.sweep_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": [without_home(word) for word in command],
            "config": config.as_dict(),
            "n_cells": config.n_cells,
            "cells": [{"key": cell.key, **cell.as_dict()} for cell in cells],
        }
        text = json.dumps(description, indent=1, default=str)
        write_durably(self.folder / DESCRIPTION, lambda file: file.write(text.encode()))

    @classmethod
    def open(cls, folder: Path) -> tuple[ResultStore, dict[str, Any]]:
        """Open a sweep that exists, with its description.

        Raises:
            BadInputError: If it is no sweep, or of another schema version.
        """
        try:
            description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
            version = description.get("schema_version")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            known = ", ".join(p.parent.name for p in sorted(folder.parent.glob(f"*/{DESCRIPTION}"))[-5:]) or "none"
            raise BadInputError(
                f"--resume: no sweep {folder.name!r} in {str(folder.parent)!r}; there: {known}"
            ) from error
        if version != SCHEMA_VERSION:
            raise BadInputError(
                f"{folder.name}: its results have schema version {version!r}, this accelsweep reads {SCHEMA_VERSION};"
                " use the version that wrote it, or start a new sweep"
            )
        for name in TABLES:
            (folder / name).mkdir(exist_ok=True)
        store = cls(folder)
        store._finish_compaction()
        store._finish_replacement()
        return store, description

    def _part(self, table: str, key: str) -> Path:
        return self.folder / table / f"part-{key}.parquet"

    def record(self, row: Mapping[str, Any], samples: pa.Table | None, rounds: Iterable[Mapping[str, Any]]) -> None:
        """Make a cell's results durable: samples and rounds first, the row last."""
        key = row["trial_key"]
        if samples is not None and samples.num_rows:
            write_table(self._part("samples", key), samples.cast(SAMPLES))
        rounds = [{"trial_key": key, **r} for r in rounds]
        if rounds:
            known = set(ROUNDS.names)
            kept = [fit({k: v for k, v in r.items() if k in known}, ROUNDS)[0] for r in rounds]
            table = pa.Table.from_pylist(kept, schema=ROUNDS)
            write_table(self._part("rounds", key), table)
        write_table(self._part("trials", key), row_table(row))
        if key in self._compacted_keys():
            for name in TABLES:
                self._evict(name, {key})
        if self.compacts_on_the_way:
            self._pending.add(row, samples)
            if self._pending.is_due:
                self._compact("part-*.parquet")

    def _compacted_keys(self) -> set[str]:
        """Cells that compacted files have, which a new part would double; looked up once."""
        if self._compacted is None:
            self._compacted = keys_in([f for name in TABLES for f in (self.folder / name).glob("compact-*.parquet")])
        return self._compacted

    def _evict(self, table: str, keys: set[str]) -> None:
        """Drop cells from a table's compacted file, where parts of their own have replaced them."""
        for file in (self.folder / table).glob("compact-*.parquet"):
            whole = pq.read_table(file, partitioning=None)
            kept = whole.filter(pc.invert(pc.is_in(whole["trial_key"], pa.array(sorted(keys), pa.string()))))
            if len(kept) < len(whole):
                write_table(file, kept)

    def amend(self, key: str, columns: Mapping[str, Any]) -> None:
        """Change columns of a row that is recorded already, as durably as it was written."""
        row = next(row for row in self.rows() if row["trial_key"] == key)
        write_table(self._part("trials", key), row_table({**row, **columns}))
        self._pending.rows.pop(key, None)
        self._evict("trials", {key})

    def rounds(self, keys: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The rounds recorded of some cells, in order."""
        wanted = set(keys)
        found: dict[str, list[dict[str, Any]]] = {key: [] for key in wanted}
        for file in sorted((self.folder / "rounds").glob("[!._]*.parquet")) if wanted else ():
            for entry in pq.read_table(file, partitioning=None).to_pylist():
                if entry["trial_key"] in wanted:
                    found[entry["trial_key"]].append(entry)
        return {key: sorted(entries, key=lambda e: e["round"]) for key, entries in found.items()}

    def sample_blocks(self, keys: Sequence[str]) -> dict[str, list[SampleBlock]]:
        """The samples recorded of some cells, as the blocks they were recorded from."""
        found: dict[str, list[SampleBlock]] = {key: [] for key in keys}
        for file in sorted((self.folder / "samples").glob("[!._]*.parquet")) if keys else ():
            frame = pq.read_table(file, partitioning=None, filters=pc.field("trial_key").isin(list(keys))).to_pandas()
            for (key, phase, index), block in frame.groupby(["trial_key", "phase", "round"], sort=False):
                scheduled = block["scheduled_s"].to_numpy(float)
                times = None if np.isnan(scheduled).all() else scheduled
                found[key].append((phase, int(index), block["seconds"].to_numpy(float), times))
        return found

    def rows(self, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows recorded so far."""
        files = sorted((self.folder / "trials").glob("[!._]*.parquet"))
        rows: list[dict[str, Any]] = []
        for file in files:
            rows += pq.read_table(file, columns=columns, partitioning=None).to_pylist()
        return rows

    def compact(self) -> None:
        """Join the files of each table into one, or into few where they are very large."""
        self._compact("[!._]*.parquet")

    def _compact(self, pattern: str) -> None:
        """Join files of each table.

        The new file names the parts it replaces, so that a crash between its rename and their removal
        can be finished by the next opening.
        """
        for table, schema in TABLES.items():
            parts = sorted((self.folder / table).glob(pattern))
            if not is_small(parts):
                parts = [part for part in parts if part.name.startswith("part-")]
            if len(parts) < 2:
                continue
            whole = joined(parts, schema, self._pending.rows if table == "trials" else {})
            names = json.dumps([p.name for p in parts])
            whole = whole.replace_schema_metadata({**(schema.metadata or {}), b"compacted_parts": names.encode()})
            write_table(new_name(self.folder / table, f"compact-{len(whole)}-{parts[-1].stem[-8:]}"), whole)
            self._compacted_keys().update(key_of(part) for part in parts)
        self._pending.clear()
        self._finish_compaction()
        pa.default_memory_pool().release_unused()

    def _finish_compaction(self) -> None:
        """Remove the parts that compacted files replace, then forget their names.

        A cell measured again later has a part of the same name.
        """
        for table, schema in TABLES.items():
            for file in sorted((self.folder / table).glob("compact-*.parquet")):
                if not file.exists():  # it was itself joined into one that came before
                    continue
                metadata = pq.read_schema(file).metadata or {}
                names = json.loads(metadata.get(b"compacted_parts", b"[]"))
                for name in set(names) - {file.name}:
                    (self.folder / table / name).unlink(missing_ok=True)
                if names:
                    _flush_folder(file.parent)
                    whole = pq.read_table(file, partitioning=None)
                    write_table(file, whole.replace_schema_metadata(schema.metadata))

    def _finish_replacement(self) -> None:
        """Finish what a crash between writing a part and evicting the row it replaces left behind."""
        for table in TABLES:
            keys = {part.stem.removeprefix("part-") for part in (self.folder / table).glob("part-*.parquet")}
            if keys:
                self._evict(table, keys)

    def discard(self) -> None:
        """Remove a sweep that recorded nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)


def new_sweep_id(workload: str, results: Path) -> str:
    """A name that sorts by time: workload, UTC date and time, and a number if it is taken."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{workload}"
    number, name = 1, stem
    while (results / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name
