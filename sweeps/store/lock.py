"""One sweep, one process: a lock on the sweep's folder that says who holds it, and ends with its holder.

The lock is the operating system's (flock): it is gone with the process that held it, also after ``kill -9`` or a power
cut, so that no stale lock is ever in the way. Beside it lies who holds it, for people.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sweeps.store.durable import write_durably, writing_to
from workloads.base import BadInputError

LOCK, HOLDER = ".lock", ".holder.json"


def _holder(folder: Path) -> str:
    """Who holds the lock, in words."""
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def holder_of(folder: Path) -> str | None:
    """Who runs a sweep now, in words; None if nobody does, or nobody can as its folder cannot be written."""
    if not (folder / LOCK).is_file():
        return None
    try:
        with FileLock(folder / LOCK, timeout=0):
            return None
    except Timeout:
        return _holder(folder)
    except OSError:
        return None


@contextlib.contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder; BadInputError says who else does, or that it cannot be written."""
    lock = FileLock(folder / LOCK, timeout=0)
    with writing_to(folder):
        try:
            lock.acquire()
        except Timeout:
            told = f"{folder.name!r} is being run by {_holder(folder)}; wait for it to finish or stop it"
            raise BadInputError(f"--resume: {told}") from None
    try:
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode()
        with writing_to(folder):
            write_durably(folder / HOLDER, lambda file: file.write(text))
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()
