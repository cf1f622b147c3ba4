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

from sweeps.store.durable import write_durably
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
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return _holder(folder)
    except OSError:
        return None
    lock.release()
    return None


@contextlib.contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder.

    Raises:
        BadInputError: If another process holds it, with who that is; or if the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BadInputError(
            f"--resume: {folder.name!r} is being run by {_holder(folder)}; wait for it or end it"
        ) from None
    except OSError as error:
        raise BadInputError(f"--output: cannot write to {str(folder)!r} ({error.strerror})") from error
    try:
        holder = {
            "pid": os.getpid(), "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(sep=" ", timespec="seconds"),
        }  # fmt: skip
        text = json.dumps(holder).encode()
        try:
            write_durably(folder / HOLDER, lambda file: file.write(text))
        except OSError as error:
            raise BadInputError(f"--output: cannot write to {str(folder)!r} ({error.strerror})") from error
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()
