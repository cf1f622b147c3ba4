"""The digest of every file of a sweep, in ``SHA256SUMS`` beside them: a flipped bit or a cut end does not go unnoticed.

Parquet's own page checksums leave out the footer, where a flip can change a number's type or a statistic that filters
rows; a digest of the whole file leaves out nothing. A line is on the disk before the file that it describes gets its
name, and a file may have several lines while it is being replaced: it is whole if any of them fits. A crash between the
two therefore costs nothing. ``tidy`` drops the lines that are no longer needed, so that in a finished sweep's folder
``sha256sum -c SHA256SUMS`` says OK of every file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.contract.parts import SUMS, digests
from sweeps.store.durable import write_durably


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_parquet(path: Path) -> bool:
    """Whether a file without a digest, of a version that wrote none, can be read to its end."""
    try:
        pq.ParquetFile(path, page_checksum_verification=True).read()
    except (pa.ArrowException, OSError, ValueError):
        return False
    return True


class Checksums:
    """The digests of the files in a sweep's folder; names are relative to it, with forward slashes."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / SUMS

    def note(self, contents: Mapping[str, bytes]) -> None:
        """Make the digests of contents durable, before they are written under their names."""
        lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
        with self._file.open("ab+") as file:
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                lines = "\n" + lines  # a crash or a full disk cut the last line
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())

    def noted(self) -> dict[str, set[str]]:
        """The digests that each file may have."""
        return digests(self._folder)

    def damaged(self, names: Iterable[str]) -> list[str]:
        """Those of the files that are not what was written."""
        noted, paths = self.noted(), {name: self._folder / name for name in names}
        return [n for n, path in paths.items() if not (_digest(path) in noted[n] if n in noted else _is_parquet(path))]

    def tidy(self, names: Iterable[str]) -> None:
        """Keep one line for each of these files, the one that fits; all of them where none does."""
        noted, lines = self.noted(), []
        for name in sorted(names):
            digests = noted.get(name, set())
            fitting = digests & {_digest(self._folder / name)} if len(digests) > 1 else digests
            lines += [f"{digest}  {name}\n" for digest in sorted(fitting or digests)]
        write_durably(self._file, lambda file: file.write("".join(lines).encode()))
