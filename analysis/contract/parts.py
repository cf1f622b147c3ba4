"""The Parquet files of a table: a part for each cell, and files that replace many parts; others are none of ours.

Cloud folders and people leave copies beside them. A file is a sweep's if its name is of our making and, since sweeps
note the digest of all that they write, if it is noted; and a cell counts once, whatever the files hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SUMS, DESCRIPTION, TRACES = "SHA256SUMS", "sweep.json", "traces"
PARTS, COMPACTED = re.compile(r"part-[0-9a-f]{1,16}\.parquet"), re.compile(r"compact-[0-9a-z-]+\.parquet")
ALL = re.compile(rf"{PARTS.pattern}|{COMPACTED.pattern}")
"""Names of files; what is being written has a name that begins with a dot."""
REPLACES = b"compacted_parts"
"""Metadata of a compacted file: the files that it replaces, until they are gone; a crash can leave both."""


def digests(sweep: Path) -> dict[str, set[str]]:
    """The digests that each file of a sweep may have, by its name in the sweep's folder."""
    found: dict[str, set[str]] = {}
    file = sweep / SUMS
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and name:
            found.setdefault(name, set()).add(digest)
    return found


def written(sweep: Path) -> set[str] | None:
    """Names in a sweep's folder of all files that were ever written there; None where not all were noted."""
    noted = set(digests(sweep))
    return noted if DESCRIPTION in noted else None  # the first that is: older versions noted nothing


def files_of(folder: Path, pattern: re.Pattern[str] = ALL) -> list[Path]:
    """The sweep's own files of a table, by name."""
    return own_files(folder, pattern, written(folder.parent))


def own_files(folder: Path, pattern: re.Pattern[str], known: Collection[str] | None) -> list[Path]:
    """The files of a table whose names are of our making, and ``known`` unless that is None, by name."""
    files = (file for file in folder.glob("*.parquet") if pattern.fullmatch(file.name))
    return sorted(f for f in files if known is None or f"{folder.name}/{f.name}" in known)


def strangers(folder: Path, pattern: re.Pattern[str] = ALL) -> list[str]:
    """Names in a table's folder that are not the sweep's own: copies, files of other sweeps, what a cloud took away.

    What is hidden is left unsaid: editors, file managers and we ourselves leave such names.
    """
    if not folder.is_dir():
        return []
    own = {file.name for file in files_of(folder, pattern)}
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".") or file.suffix == ".icloud"}
    return sorted(names - own)


def parts_first(files: Iterable[Path]) -> list[Path]:
    """Files in the order in which they count: the part of a cell that was measured again holds over a joined file."""
    return sorted(files, key=lambda file: key_of(file) is None)


def without_doubles(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """Tables without the rows of cells that one before has; as they are where they do not tell the cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kept: list[pa.Table] = []
    seen: set[str] = set()
    for table in tables:
        keys = set(table["trial_key"].unique().to_pylist()) if "trial_key" in table.column_names else set()
        if doubles := keys & seen:
            is_double = pc.is_in(table["trial_key"], pa.array(sorted(doubles), pa.string()))
            table = table.filter(pc.invert(is_double))  # noqa: PLW2901
        seen |= keys
        kept.append(table)
    return kept


def without_nan(table: pa.Table) -> pa.Table:
    """The table with null in the place of NaN, which passes comparisons and hides in extremes; older versions wrote it.

    Infinity stays: an operation's answer can be so far off.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, field in enumerate(table.schema):
        column = table.column(i)
        is_known = pa.types.is_floating(field.type) and column.null_count < len(column)  # most are all null
        if is_known and pc.any(is_nan := pc.is_nan(column)).as_py():
            values = pc.if_else(is_nan, pa.scalar(None, field.type), column)
            table = table.set_column(i, field, values)
    return table


def part_name(key: str) -> str:
    """The file of one cell."""
    return f"part-{key}.parquet"


def trace_name(key: str) -> str:
    """The file in a sweep's folder with the trace of one cell's step."""
    return f"{TRACES}/{key}.json.gz"


def key_of(file: Path) -> str | None:
    """The cell whose part a file is; None of a file that has several cells."""
    named = re.fullmatch(r"part-([0-9a-f]{16})\.parquet", file.name)
    return named[1] if named else None


def is_compacted(file: Path) -> bool:
    return COMPACTED.fullmatch(file.name) is not None


def compacted_name(word: object) -> str:
    """The name of a file that replaces several."""
    return f"compact-{word}.parquet"


def as_metadata(files: Iterable[Path]) -> dict[bytes, bytes]:
    """What a compacted file says of the files that it replaces."""
    return {REPLACES: json.dumps([file.name for file in files]).encode()}


def replaced_by(file: Path, metadata: Mapping[bytes, bytes] | None) -> set[str]:
    """Names of the files that a file replaces."""
    return set(json.loads((metadata or {}).get(REPLACES, b"[]"))) - {file.name}
