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
from collections.abc import Iterator
from dataclasses import dataclass

import ray

from sweeps.launch.cluster import join, read_nodes
from sweeps.launch.lost_servers import leave_at_once
from sweeps.launch.ray_private import STORE_FOLDER, job_config, servers_in_own_group, silence_epitaphs
from sweeps.measure.device.environment import usable_cpus
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.nodes import CUSTOM, Cluster

OBJECT_STORE_BYTES = 100 * 2**20
"""Results are small; Ray's default takes 30 % of the memory that a CPU trial measures with."""

MAX_TMPDIR = (107 if sys.platform == "linux" else 103) - len(
    "/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
)
"""Characters that the temporary folder's name may have: the path of a socket has 107 at most (unix(7)), a Mac's 103."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How to reach or start Ray."""

    address: str | None = None
    verbose: bool = False
    node_timeout_s: float = 600.0
    """A cell that no node of the cluster takes for so long is given up."""
    go_on: str = "everything measured is kept"
    """What is told if Ray dies and does not let go of the process: how the sweep goes on."""


@contextlib.contextmanager
def ray_session(options: RayOptions, devices: dict[str, int]) -> Iterator[None]:
    """Ray, joined at ``options.address`` or started here with so many ``devices`` by name, and left again."""
    level = logging.INFO if options.verbose else logging.ERROR
    # Tune logs every trial that ended badly as an error; those are rows, and our terminal shows them.
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(level if options.verbose else logging.CRITICAL)
    common = {
        "logging_level": level, "log_to_driver": options.verbose, "configure_logging": options.verbose,
        "job_config": job_config(),
    }  # fmt: skip
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if options.address:
        join(options.address, common)
    else:
        make_room_for_sockets()
        try:
            # Linux alone: it ends them with the driver whatever happens, where Ray elsewhere finds them by their group.
            with servers_in_own_group() if sys.platform == "linux" else contextlib.nullcontext():
                ray.init(
                    address="local",  # never somebody else's Ray that happens to run on this machine
                    num_cpus=usable_cpus(),
                    # One custom resource per accelerator type: Ray itself sees no Apple GPU.
                    resources={f"{CUSTOM}{name}": n for name, n in devices.items() if name != "cpu"},
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    **object_store_options(),
                    **common,
                )
        except Exception as error:  # Ray raises whatever its own start meets: no space, no memory, no port
            remedy = (
                f"; set RAY_TMPDIR to a folder of at most {MAX_TMPDIR} characters" if "AF_UNIX" in str(error) else ""
            )
            told = str(error).strip().splitlines()[0][:200]
            raise SweepLostError(f"Ray did not start: {told}{remedy}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own ends the process without a word
    if not options.verbose:
        silence_epitaphs()  # a row or one sentence says that
    try:
        yield
    except SweepLostError:
        atexit.register(leave_at_once)
        raise
    except BaseException:
        _shut_down()
        raise
    _shut_down()


def _shut_down() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        ray.shutdown()


@contextlib.contextmanager
def cluster_session(options: RayOptions) -> Iterator[Cluster]:
    """A cluster that runs already, joined (as ``join``) and left again; every node was asked what it is."""
    with ray_session(options, {}):
        yield Cluster(read_nodes())


def make_room_for_sockets() -> None:
    """Let Ray's sockets lie in /tmp, which is told, where they would have longer names in TMPDIR than sockets may."""
    folder = os.environ.get("TMPDIR", "")
    if len(os.fsencode(folder)) <= MAX_TMPDIR or "RAY_TMPDIR" in os.environ or not os.access("/tmp", os.W_OK):
        return
    os.environ["RAY_TMPDIR"] = "/tmp"
    with contextlib.suppress(OSError):
        sys.stdout.write(f"TMPDIR has more than the {MAX_TMPDIR} characters that sockets leave it, so Ray keeps its own"
                         " files in /tmp; RAY_TMPDIR names another folder\n")  # fmt: skip


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
            f"/dev/shm has {n_free / 1e6:.0f} MB free of the {OBJECT_STORE_BYTES / 1e6:.0f} MB that Ray shares memory"
            f" with, so it uses {folder}; cells are timed in their own memory as ever\n"
        )
    return {STORE_FOLDER: folder}
