"""Where a sweep's tables are: parts in its folder, or of a published one a file each, beside ``trials.parquet``."""

from __future__ import annotations

from pathlib import Path

from analysis.contract.parts import files_of

PUBLISHED = "trials.parquet"
"""The trials of a published sweep; its other tables are beside it, each under its name."""


def has_more_tables(sweep: Path) -> bool:
    """Whether a sweep's other tables may be found: in its folder, or beside a published one; not of any other file."""
    return sweep.is_dir() or sweep.name == PUBLISHED


def table_files(sweep: Path, table: str) -> list[Path]:
    """The parts of a table in a sweep's folder, its file beside a published one, or any other file given instead."""
    if not sweep.is_file():
        return files_of(sweep / table)
    file = sweep.with_name(f"{table}.parquet") if sweep.name == PUBLISHED else sweep
    return [file] if file.is_file() else []
