"""Durable Parquet: a cell's row, samples and rounds are on disk before the next cell starts.

One part file per cell and table, written under a temporary name, flushed to the disk and renamed. The
trial row comes last, so that a row is the sign that its samples are whole. Because a part is named by the
cell's key, measuring a cell again replaces its row instead of adding a second one. Every file's digest is noted
before it gets its name; what does not fit its digest is set aside when the sweep is opened again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.contract.cells import SERVER
from analysis.contract.parts import DESCRIPTION, PARTS, TRACES, key_of, part_name, trace_name
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.store.durable import free_path, parquet_bytes, writing_to
from sweeps.store.part_files import PartFiles, Pending, keys_in
from sweeps.store.rows import SampleBlock, fit, rows_table
from sweeps.store.schema import PROFILES, ROUNDS, SAMPLES, SCHEMA_VERSION, TABLES
from sweeps.text import without_home
from workloads.base import BadInputError


class ResultStore:
    """The folder of one sweep, ``RESULTS/SWEEP_ID``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sweep_id = folder, folder.name
        self.compacts_on_the_way = True
        """Parts are joined while the sweep runs; not where cells are recorded again and again."""
        self._pending, self._parts = Pending(), PartFiles(folder)

    @classmethod
    def create(
        cls, folder: Path, config: SweepConfig, cells: Sequence[TrialConfig], command: Sequence[str]
    ) -> ResultStore:
        """Make a new sweep's folder with ``sweep.json``: what was asked, so that it can be resumed and reproduced."""
        store = cls(folder)
        description = {
            "schema_version": SCHEMA_VERSION,
            "sweep_id": store.sweep_id,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": [without_home(word) for word in command],
            "config": config.as_dict(),
            "n_cells": config.n_cells,
            "cells": [{"key": cell.key, **cell.as_dict()} for cell in cells],
        }
        with writing_to(folder.parent):
            for name in TABLES:
                (folder / name).mkdir(parents=True, exist_ok=True)
            store._parts.write({DESCRIPTION: json.dumps(description, indent=1, default=str).encode()})
        return store

    @classmethod
    def open(cls, folder: Path, *, is_read_only: bool = False) -> tuple[ResultStore, dict[str, Any]]:
        """Open a sweep that exists, of this schema version and with a whole description, which is returned too.

        Files that are not what was written are set aside in ``damaged``; what a crash left half done is finished.
        Read-only, nothing is changed and damaged files are only left out.
        """
        store = cls(folder)
        is_damaged = (folder / DESCRIPTION).is_file() and store._parts.is_damaged(DESCRIPTION)
        damaged = BadInputError(
            f"--resume: {str(folder / DESCRIPTION)!r} is damaged (its checksum does not match), so what it was to"
            " measure is unknown; its rows can still be read, but start a new sweep"
        )
        try:
            description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            version = description.get("schema_version")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            if is_damaged:
                raise damaged from error
            known = ", ".join(p.parent.name for p in sorted(folder.parent.glob(f"*/{DESCRIPTION}"))[-5:]) or "none"
            told = f"no sweep {folder.name!r} in {str(folder.parent)!r}; there: {known}"
            raise BadInputError(f"--resume: {told}") from error
        if version != SCHEMA_VERSION:
            raise BadInputError(
                f"{folder.name}: its results have schema version {version!r}, this accelsweep reads {SCHEMA_VERSION};"
                " use the version that wrote it, or start a new sweep"
            )
        if is_damaged:
            raise damaged
        store._parts.check()
        if not is_read_only:
            store._parts.repair()
        return store, description

    @property
    def damaged(self) -> list[str]:
        """Files that were not what had been written when the sweep was opened, by their names in the folder."""
        return self._parts.damaged

    @property
    def strangers(self) -> list[str]:
        """What lies among its tables and was not written by accelsweep, which nothing reads."""
        return self._parts.strangers()

    def incomplete(self) -> set[str]:
        """Cells whose row says that there are samples or rounds which are not there: they are to be measured again."""
        rows = self.rows(["trial_key", "n_samples", "n_rounds", "scenario"])
        sampled = {row["trial_key"] for row in rows if row["n_samples"]}
        # A server's one round is no row of its own.
        rounded = {row["trial_key"] for row in rows if row["n_rounds"] and row["scenario"] != SERVER}
        return (sampled - self._keys("samples")) | (rounded - self._keys("rounds"))

    def _keys(self, table: str) -> set[str]:
        """The cells that a table has rows of; a part's name says whose it is."""
        files = self._parts.of(table)
        return {key for file in files if (key := key_of(file))} | keys_in([f for f in files if not key_of(f)])

    def _part(self, table: str, key: str) -> str:
        return f"{table}/{part_name(key)}"

    def record(
        self, row: Mapping[str, Any], samples: pa.Table | None, rounds: Iterable[Mapping[str, Any]],
        longest: Sequence[Mapping[str, Any]] = (), trace: bytes | None = None,
    ) -> None:  # fmt: skip
        """Make a cell's results durable: samples, rounds, its profile's longest and its trace first, the row last."""
        key = row["trial_key"]
        tables: dict[str, pa.Table] = {}
        if longest:
            entries = [{"trial_key": key, **entry} for entry in longest]
            tables[self._part("profiles", key)] = rows_table(entries, PROFILES)
        if trace is not None:
            (self.folder / TRACES).mkdir(exist_ok=True)
            self._parts.write({trace_name(key): trace})
            row = {**row, "trace": trace_name(key)}
        if samples is not None and samples.num_rows:
            tables[self._part("samples", key)] = samples.cast(SAMPLES)
        rounds = [{"trial_key": key, **r} for r in rounds]
        if rounds:
            kept = [fit({k: v for k, v in r.items() if k in ROUNDS.names}, ROUNDS)[0] for r in rounds]
            tables[self._part("rounds", key)] = pa.Table.from_pylist(kept, schema=ROUNDS)
        tables[self._part("trials", key)] = rows_table([row])
        self._parts.write({name: parquet_bytes(table) for name, table in tables.items()})
        if key in self._parts.compacted_keys():
            for name in TABLES:
                self._parts.evict(name, {key})
        if self.compacts_on_the_way:
            self._pending.add(row, samples)
            if self._pending.is_due:
                self._parts.compact(PARTS, self._pending.rows)
                self._pending.clear()

    def amend(self, key: str, columns: Mapping[str, Any]) -> None:
        """Change columns of a row that is recorded already, as durably as it was written."""
        row = next(row for row in self.rows() if row["trial_key"] == key)
        self._parts.write({self._part("trials", key): parquet_bytes(rows_table([{**row, **columns}]))})
        self._pending.rows.pop(key, None)
        self._parts.evict("trials", {key})

    def rounds(self, keys: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """The rounds recorded of some cells, in order."""
        wanted = set(keys)
        found: dict[str, list[dict[str, Any]]] = {key: [] for key in wanted}
        for table in self._parts.read("rounds", keys=wanted) if wanted else ():
            for entry in table.to_pylist():
                found[entry["trial_key"]].append(entry)
        return {key: sorted(entries, key=lambda e: e["round"]) for key, entries in found.items()}

    def sample_blocks(self, keys: Sequence[str]) -> dict[str, list[SampleBlock]]:
        """The samples recorded of some cells, as the blocks they were recorded from."""
        found: dict[str, list[SampleBlock]] = {key: [] for key in keys}
        for table in self._parts.read("samples", keys=keys) if keys else ():
            grouped = table.to_pandas().groupby(["trial_key", "phase", "round"], sort=False)
            for (key, phase, index), block in grouped:
                scheduled = block["scheduled_s"].to_numpy(float)
                times = None if np.isnan(scheduled).all() else scheduled
                found[key].append((phase, int(index), block["seconds"].to_numpy(float), times))
        return found

    def rows(self, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The rows recorded so far."""
        return [row for table in self._parts.read("trials", columns) for row in table.to_pylist()]

    def compact(self) -> None:
        """Join the files of each table into one, or into few where they are very large."""
        self._parts.compact(rows=self._pending.rows)
        self._pending.clear()


def new_sweep_id(workload: str, results: Path) -> str:
    """A name that sorts by time: workload, UTC date and time, and a number if it is taken."""
    return free_path(results, f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{workload}{{}}").name


def claim_folder(workload: str, results: Path) -> Path:
    """Make the folder of a new sweep, which no other sweep that starts in the same second gets as well."""
    while True:
        with writing_to(results):
            folder = results / new_sweep_id(workload, results)
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if not results.is_dir():
                    raise BadInputError(f"--output: {str(results)!r} is not a folder") from None
            else:
                return folder
