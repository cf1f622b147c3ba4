"""Files that are there whole or not at all: written under a temporary name, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workloads.base import BadInputError


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Make one line of bad usage of what keeps a folder from being written."""
    try:
        yield
    except OSError as error:
        raise BadInputError(f"--output: cannot write to {str(folder)!r} ({error.strerror})") from error


def free_path(folder: Path, name: str, joint: str = "-") -> Path:
    """The first path that is not there yet; of ``name``, which has a place ``{}``, with nothing, ``-2``, ``-3``..."""
    endings = itertools.chain([""], (f"{joint}{number}" for number in itertools.count(2)))
    paths = (folder / name.replace("{}", ending) for ending in endings)
    return next(path for path in paths if not path.exists())


def flush_folder(folder: Path) -> None:
    """Make a rename in the folder durable (POSIX: the folder itself must be flushed)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, write: Any) -> None:
    """Write a file so that after a crash it is there whole or not at all; ``write`` is given a binary file."""
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
    flush_folder(path.parent)


MIN_PACKED_ROWS = 100
"""Of fewer rows a table's hundreds of columns are neither smaller packed nor half as soon written and read back."""


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as the content of a Parquet file, each page with its checksum."""
    is_packed = len(table) >= MIN_PACKED_ROWS
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd" if is_packed else "none", use_dictionary=is_packed, write_page_checksum=True
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file as a table: ``pq.read_table`` spends most of a small file on its search for a data set."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns, use_threads=file.metadata.num_rows >= MIN_PACKED_ROWS)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file durably."""
    content = parquet_bytes(table)
    write_durably(path, lambda file: file.write(content))
