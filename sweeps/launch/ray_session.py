"""Start, join and leave Ray."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray

from analysis.contract.cells import EXIT_FAILED
from sweeps.launch.cluster import join, read_nodes
from sweeps.launch.ray_private import servers_in_own_group, silence_epitaphs, store_folder_option
from sweeps.measure.device.environment import usable_cpus
from sweeps.scheduling.endings import SweepLostError
from sweeps.scheduling.nodes import Cluster

OBJECT_STORE_BYTES = 100 * 2**20
"""Results are small; Ray's default takes 30 % of the memory that a CPU trial measures with."""


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
    """Ray, started here or joined at ``options.address``, and left again.

    Args:
        options: Where Ray is, or None to start it.
        devices: Number of devices by name on this machine, ``cpu`` included.
    """
    level = logging.INFO if options.verbose else logging.ERROR
    # Tune logs every trial that ended badly as an error; those are rows, and our terminal shows them.
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(level if options.verbose else logging.CRITICAL)
    common: dict[str, Any] = {
        "logging_level": level, "log_to_driver": options.verbose, "configure_logging": options.verbose,
    }  # fmt: skip
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if options.address:
        join(options.address, common)
    else:
        accelerators = {name: n for name, n in devices.items() if name != "cpu"}
        try:
            with own_process_group():
                ray.init(
                    address="local",  # never somebody else's Ray that happens to run on this machine
                    num_cpus=usable_cpus(),
                    # One custom resource per accelerator type works on every Ray version; Ray itself sees no Apple GPU.
                    resources={f"accelsweep_{name}": n for name, n in accelerators.items()},
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES,
                    **store_folder_option(object_store_folder(OBJECT_STORE_BYTES)),
                    **common,
                )
        except Exception as error:  # Ray raises whatever its own start meets: no space, no memory, no port
            raise SweepLostError(f"Ray did not start: {str(error).strip().splitlines()[0][:200]}") from error
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
    """A cluster that runs already, joined and left again; every node was asked what it is.

    Raises:
        BadInputError: If there is none at the address.
    """
    with ray_session(options, {}):
        yield Cluster(read_nodes())


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
    with servers_in_own_group() if sys.platform == "linux" else contextlib.nullcontext():
        yield


def leave_at_once() -> None:
    """End the process without Ray's own shutdown, which waits a minute for servers that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(EXIT_FAILED)
