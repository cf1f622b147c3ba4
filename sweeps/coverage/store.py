"""The folder of one coverage sweep: what was asked, the recording of the model zoo, and one durable part per cell."""

from __future__ import annotations

import functools
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.contract.parts import PARTS, files_of, part_name, strangers
from sweeps.coverage.plan import OperationCell
from sweeps.store.durable import read_table, write_durably, write_table
from sweeps.store.operation_columns import OPERATIONS, SCHEMA_VERSION
from sweeps.store.rows import rows_table
from sweeps.text import without_paths
from workloads.base import BadInputError

DESCRIPTION = "coverage.json"
RECORDING = "recording.json"
TABLE = "operations"
JOINED = re.compile(r"all-[0-9]+\.parquet")
OWN = re.compile(rf"{JOINED.pattern}|{PARTS.pattern}")
RETRIED = ("crashed", "timeout")


def write_json(path: Path, content: Any) -> None:
    """Write a file durably."""
    text = json.dumps(content).encode()
    write_durably(path, lambda file: file.write(text))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as others may see it: what exceptions say names no home folder."""
    return {**row, **{name: without_paths(row[name]) for name in ("reason", "not_timed") if row.get(name)}}


class CoverageStore:
    """Rows of one sweep on disk.

    A cell's rows are written as one part, named by its key, under a temporary name, flushed and renamed; so they are
    there whole or not at all, and a cell run again replaces its rows.

    Attributes:
        folder: ``RESULTS/SWEEP_ID``.
        description: What ``coverage.json`` says.
    """

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        self.folder, self.description = folder, description

    @property
    def asked(self) -> dict[str, Any]:
        """The options of the command line that it began with."""
        options: dict[str, Any] = self.description["options"]
        return options

    @functools.cached_property
    def cells(self) -> list[OperationCell]:
        """All of it."""
        return [OperationCell(**cell) for cell in self.description["cells"]]

    @classmethod
    def create(cls, folder: Path, asked: Mapping[str, Any], recording: Mapping[str, Any]) -> CoverageStore:
        """Make a new sweep's folder.

        Raises:
            BadInputError: If it cannot be written.
        """
        description = {
            "schema_version": SCHEMA_VERSION,
            "sweep_id": folder.name,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **asked,
        }
        try:
            (folder / TABLE).mkdir(parents=True, exist_ok=True)
            write_json(folder / RECORDING, recording)
            write_json(folder / DESCRIPTION, description)
        except OSError as error:
            raise BadInputError(f"--output: cannot write to {str(folder.parent)!r} ({error.strerror})") from error
        return cls(folder, description)

    @classmethod
    def open(cls, folder: Path) -> CoverageStore:
        """Open a sweep that exists.

        Raises:
            BadInputError: If it is no coverage sweep, or of another schema version.
        """
        try:
            description: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text())
            version = description.get("schema_version")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            known = ", ".join(p.parent.name for p in sorted(folder.parent.glob(f"*/{DESCRIPTION}"))[-5:]) or "none"
            raise BadInputError(
                f"--resume: no coverage sweep {folder.name!r} in {str(folder.parent)!r}; there: {known}"
            ) from error
        if version != SCHEMA_VERSION:
            raise BadInputError(f"{folder.name}: schema version {version!r}; this accelsweep reads {SCHEMA_VERSION}")
        (folder / TABLE).mkdir(exist_ok=True)
        return cls(folder, description)

    def recording(self) -> dict[str, Any]:
        """What the model zoo was recorded to call."""
        recording: dict[str, Any] = json.loads((self.folder / RECORDING).read_text())
        return recording

    def record(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make the rows of one cell durable, in the place of any it has already."""
        named = [{"schema_version": SCHEMA_VERSION, "sweep_id": self.folder.name, **_shown(row)} for row in rows]
        write_table(self.folder / TABLE / part_name(rows[0]["operation_key"]), rows_table(named, OPERATIONS))

    def rows_of(self, key: str) -> list[dict[str, Any]]:
        """Rows recorded of one cell."""
        part = self.folder / TABLE / part_name(key)
        return (_read(part) if part.is_file() else None) or self.rows_by_cell().get(key, [])

    def rows_by_cell(self) -> dict[str, list[dict[str, Any]]]:
        """Rows recorded so far by cell; a part holds over a joined file."""
        found: dict[str, list[dict[str, Any]]] = {}
        for file in self._files(JOINED) + self._files(PARTS):
            by_key = defaultdict(list)
            for row in _read(file) or []:
                by_key[row["operation_key"]].append(row)
            found.update(by_key)
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Rows recorded so far."""
        return [row for rows in self.rows_by_cell().values() for row in rows]

    def left_out(self) -> list[str]:
        """Names of files among the rows that are not read: others' copies, and what cannot be read."""
        unreadable = [file.name for file in self._files(OWN) if _read(file) is None]
        return sorted({*strangers(self.folder / TABLE, OWN), *unreadable})

    def _files(self, pattern: re.Pattern[str]) -> list[Path]:
        return files_of(self.folder / TABLE, pattern)

    def compact(self) -> None:
        """Join everything into one file; what a crash leaves behind is read right and joined the next time."""
        parts, joined = self._files(PARTS), self._files(JOINED)
        if parts:
            number = 1 + max((int(p.stem.removeprefix("all-")) for p in joined), default=0)
            write_table(self.folder / TABLE / f"all-{number:06d}.parquet", rows_table(self.rows(), OPERATIONS))
            for file in parts + joined:
                if _read(file) is not None:  # what cannot be read is somebody's to look at
                    file.unlink()


def _read(file: Path) -> list[dict[str, Any]] | None:
    """The rows of a file; None if it cannot be read: its cells are asked again."""
    try:
        rows: list[dict[str, Any]] = read_table(file).to_pylist()
    except (pa.ArrowInvalid, OSError):
        return None
    return rows
