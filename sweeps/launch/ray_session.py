"""Start, join and leave Ray."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ray

from sweeps.launch.cluster import join, read_nodes
from sweeps.launch.lost_servers import leave_at_once
from sweeps.launch.ray_private import STORE_FOLDER, forget_references, job_config, silence_epitaphs
from sweeps.launch.ray_start import RayOptions, RayStart
from sweeps.launch.servers.private import servers_for_cells
from sweeps.launch.servers.worker_process import WORKER_SCRIPT
from sweeps.measure.device.host import usable_cpus
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.nodes import Cluster

OBJECT_STORE_BYTES = 100 * 2**20
"""Results are small; Ray's default takes 30 % of the memory that a CPU trial measures with."""

MAX_TMPDIR = (107 if sys.platform == "linux" else 103) - len(
    "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
)
"""Characters that the temporary folder's name may have: the path of a socket has 107 at most (unix(7)), a Mac's 103."""


def _common(options: RayOptions) -> dict[str, Any]:
    """Options of ``ray.init`` however Ray is reached."""
    level = logging.INFO if options.verbose else logging.ERROR
    # Tune logs every trial that ended badly as an error; those are rows, and our terminal shows them.
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(level if options.verbose else logging.CRITICAL)
    return {
        "logging_level": level, "log_to_driver": options.verbose, "configure_logging": options.verbose,
        "job_config": job_config(),
    }  # fmt: skip


def start_ray(options: RayOptions) -> None:
    """Ray on this machine, whose first worker is the one that waits already, if it does."""
    make_room_for_sockets()
    try:
        with servers_for_cells(WORKER_SCRIPT, with_logs=options.verbose):
            _init(options)
    except (AttributeError, TypeError):  # a Ray whose private parts are others: as it starts itself
        ray.shutdown()
        _init(options)
    if not options.verbose:
        silence_epitaphs()  # a row or one sentence says that


def _init(options: RayOptions) -> None:
    ray.init(
        address="local",  # never somebody else's Ray that happens to run on this machine
        num_cpus=usable_cpus(),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **object_store_options(),
        **_common(options),
    )


def stop_ray() -> None:
    """Leave Ray, and end it if it was started here."""
    forget_references()
    with contextlib.suppress(KeyboardInterrupt):
        ray.shutdown()


@contextlib.contextmanager
def ray_session(start: RayStart) -> Iterator[None]:
    """Ray that is being started on this machine, from when it is up until the session is left."""
    start.wait()
    with _left(start.leave, start.lose):
        yield


@contextlib.contextmanager
def _left(leave: Callable[[], None], lose: Callable[[], None]) -> Iterator[None]:
    """Leave Ray at the end, unless it is lost."""
    try:
        yield
    except SweepLostError:
        lose()
        atexit.register(leave_at_once)
        raise
    except BaseException:
        leave()
        raise
    leave()


@contextlib.contextmanager
def cluster_session(options: RayOptions) -> Iterator[Cluster]:
    """A cluster that runs already, joined (as ``join``) and left again; every node was asked what it is."""
    assert options.address is not None
    on_sigterm = signal.getsignal(signal.SIGTERM)
    join(options.address, _common(options))
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own ends the process without a word
    if not options.verbose:
        silence_epitaphs()
    with _left(stop_ray, lambda: None):
        yield Cluster(read_nodes())


def make_room_for_sockets() -> None:
    """Let Ray's sockets lie in /tmp, which is told, where they would have longer names in TMPDIR than sockets may."""
    folder = os.environ.get("TMPDIR", "")
    if len(os.fsencode(folder)) <= MAX_TMPDIR or "RAY_TMPDIR" in os.environ or not os.access("/tmp", os.W_OK):
        return
    os.environ["RAY_TMPDIR"] = "/tmp"
    with contextlib.suppress(OSError):
        sys.stdout.write(f"TMPDIR is longer than the {MAX_TMPDIR} characters that sockets allow, so Ray keeps its own"
                         " files in /tmp; set RAY_TMPDIR to use another folder\n")  # fmt: skip


def object_store_options() -> dict[str, str]:
    """Where Ray's object store lies: nothing for Ray's own choice, else a folder on disk, which is told.

    Ray itself takes the disk where /dev/shm is too small, but does not start where there is none.
    """
    if sys.platform != "linux":
        return {}
    n_free = 0
    with contextlib.suppress(OSError):
        n_free = shutil.disk_usage("/dev/shm").free
    if n_free >= OBJECT_STORE_BYTES and os.access("/dev/shm", os.W_OK):
        return {}
    folder = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        sys.stdout.write(
            f"/dev/shm has {n_free / 1e6:.0f} MB free of the {OBJECT_STORE_BYTES / 1e6:.0f} MB that Ray needs for"
            f" shared memory, so Ray uses {folder}; the timing of cells is not affected\n"
        )
    return {STORE_FOLDER: folder}
