"""How the Parquet files of a table are named: a part for each cell, and files that replace many parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ALL, PARTS, COMPACTED = "[!._]*.parquet", "part-*.parquet", "compact-*.parquet"
"""Patterns of names; what is being written has a name that begins with a dot."""
REPLACES = b"compacted_parts"
"""Metadata of a compacted file: the files that it replaces, until they are gone; a crash can leave both."""


def files_of(folder: Path, pattern: str = ALL) -> list[Path]:
    """The files of a table, by name."""
    return sorted(folder.glob(pattern))


def part_name(key: str) -> str:
    """The file of one cell."""
    return f"part-{key}.parquet"


def key_of(file: Path) -> str | None:
    """The cell whose part a file is; None of a file that has several cells."""
    named = re.fullmatch(r"part-([0-9a-f]{16})\.parquet", file.name)
    return named[1] if named else None


def is_compacted(file: Path) -> bool:
    return file.match(COMPACTED)


def compacted_name(word: object) -> str:
    """The name of a file that replaces several."""
    return f"compact-{word}.parquet"


def as_metadata(files: Iterable[Path]) -> dict[bytes, bytes]:
    """What a compacted file says of the files that it replaces."""
    return {REPLACES: json.dumps([file.name for file in files]).encode()}


def replaced_by(file: Path, metadata: Mapping[bytes, bytes] | None) -> set[str]:
    """Names of the files that a file replaces."""
    return set(json.loads((metadata or {}).get(REPLACES, b"[]"))) - {file.name}
