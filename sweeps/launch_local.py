"""What a Ray of our own needs of this machine: room for its object store, and a way out when it is gone."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator

from sweeps.launch_watch import EXIT_FAILED


def object_store_folder(n_bytes: int) -> str | None:
    """Where Ray's object store lies: None for Ray's own choice, else a folder on disk, which is told.

    Ray itself takes the disk where /dev/shm is too small, but does not start where there is none.

    Args:
        n_bytes: What the store takes.
    """
    if sys.platform != "linux":
        return None
    try:
        stat = os.statvfs("/dev/shm")
        n_free = stat.f_bavail * stat.f_frsize
    except OSError:
        n_free = 0
    if n_free >= n_bytes and os.access("/dev/shm", os.W_OK):
        return None
    folder = tempfile.gettempdir()
    told = (
        f"/dev/shm has {n_free / 1e6:.0f} MB free of the {n_bytes / 1e6:.0f} MB that Ray shares memory with, so it uses"
        f" {folder}; cells are timed in their own memory as ever\n"
    )
    with contextlib.suppress(OSError):
        sys.stdout.write(told)
    return folder


@contextlib.contextmanager
def own_process_group() -> Iterator[None]:
    """Start Ray's servers in a process group of their own.

    ``timeout``, a closing terminal and service managers signal a command's whole group. The servers would end before
    the driver, which needs them to end its sweep in order. Linux alone: it ends them with the driver whatever happens,
    where Ray elsewhere finds them by their group.
    """
    from ray._private import services

    original = services.ConsolePopen
    if sys.platform == "linux":
        services.ConsolePopen = functools.partial(original, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = original


def leave_at_once() -> None:
    """End the process without Ray's own shutdown, which waits a minute for servers that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(EXIT_FAILED)
