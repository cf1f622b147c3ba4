"""Ray: starting or joining it, and Tune's loop over the ledger's cells."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# Tune reads these when it is imported. Its loggers took a third of a short sweep's wall time, its
# experiment state is not needed (our Parquet is the truth), and its reporters are replaced by ours.
# Ray's workers are polite, at niceness 15: what else runs on the machine would take the time that is measured.
_TUNE_ENVIRONMENT = {
    "RAY_worker_niceness": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # What the dashboard would show of every task and every actor that ended: 13 kB a cell in Ray's head process.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_maximum_gcs_destroyed_actor_cached_count": "100",
}
for _name, _value in _TUNE_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
warnings.filterwarnings("ignore", module=r"ray\..*")

import ray  # noqa: E402 (after the environment that it reads)
from ray import tune  # noqa: E402
from ray.tune.search import ConcurrencyLimiter  # noqa: E402

from sweeps.launch_local import leave_at_once, object_store_folder, own_process_group  # noqa: E402
from sweeps.launch_lost import NodeWatch  # noqa: E402
from sweeps.launch_memory import SilentProgress  # noqa: E402
from sweeps.launch_nodes import join, local_cluster, read_nodes  # noqa: E402
from sweeps.launch_tune import CellSearcher, LedgerScheduler, LedgerWatch, SweepStopper  # noqa: E402
from sweeps.launch_watch import RayWatch  # noqa: E402
from sweeps.ledger import Interrupted, Ledger, SweepLostError  # noqa: E402
from sweeps.leftovers import guarded  # noqa: E402
from sweeps.measure.device.environment import usable_cpus  # noqa: E402
from sweeps.nodes import Cluster  # noqa: E402
from sweeps.placement import Placement  # noqa: E402
from sweeps.plan.config import SweepConfig, TrialConfig  # noqa: E402
from sweeps.signals import collected_signals  # noqa: E402
from sweeps.trial import CellTrial  # noqa: E402

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
                    _plasma_directory=object_store_folder(OBJECT_STORE_BYTES),
                    **common,
                )
        except Exception as error:  # Ray raises whatever its own start meets: no space, no memory, no port
            raise SweepLostError(f"Ray did not start: {str(error).strip().splitlines()[0][:200]}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own ends the process without a word
    if not options.verbose:
        # It prints a dead worker's epitaph and the end of the raylet's log; a row or one sentence says that.
        ray._private.worker.print_to_stdstream = lambda *_, **__: None
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


def launch(
    config: SweepConfig, ledger: Ledger, options: RayOptions, devices: dict[str, int], cluster: Cluster | None = None,
    say: Callable[[str], None] = print,
) -> Sequence[TrialConfig]:  # fmt: skip
    """Run every cell that the ledger hands out, each as one Tune trial on exclusive hardware.

    Args:
        config: The sweep.
        ledger: Its books.
        options: How to start Ray.
        devices: Number of devices by name on this machine; not looked at with a cluster.
        cluster: Of a ``cluster_session`` that is open; Ray is started here without.
        say: Prints a line on what becomes of the cluster.

    Returns:
        The cells that were running when the sweep was interrupted or its budget spent; empty otherwise.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything finished recorded.
        SweepLostError: A process of Ray that the sweep needs died, or a row fits no table; the rest is recorded.
        OSError: A row could not be written; everything before it is recorded.
    """
    with (
        guarded() as marked,
        contextlib.nullcontext() if cluster else ray_session(options, devices),
        tempfile.TemporaryDirectory(prefix="accelsweep-", ignore_cleanup_errors=True) as scratch,
        collected_signals() as signals,
        RayWatch(marked, options.go_on) as watch,
    ):
        if cluster is not None:
            ledger.node_columns = {n.node_id: {"clock_offset_s": n.clock_offset_s} for n in cluster.all_nodes}
        placement = Placement(cluster or local_cluster(devices), config)
        nodes = NodeWatch(placement, ledger, say, options.node_timeout_s) if cluster else None
        searcher = CellSearcher(ledger, config, placement, nodes)
        callbacks = [
            *([nodes] if nodes else []), LedgerWatch(ledger, nodes), *([] if options.verbose else [SilentProgress()])
        ]  # fmt: skip
        try:
            with watch.interrupting():
                tune.run(
                    CellTrial,
                    name="sweep",
                    search_alg=ConcurrencyLimiter(searcher, max_concurrent=placement.n_concurrent),
                    scheduler=LedgerScheduler(ledger, nodes),
                    callbacks=callbacks,
                    stop=SweepStopper(ledger, signals, say),
                    num_samples=-1,
                    storage_path=scratch,
                    reuse_actors=not config.isolate,
                    max_failures=0,
                    raise_on_failed_trial=False,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                    verbose=3 if options.verbose else 0,
                    log_to_file=False,
                )
        except KeyboardInterrupt:
            pass  # from the second signal, or from the watch
        except Exception:
            if not watch.sees_loss():
                raise
        left = ledger.drop()
        if watch.sees_loss():
            raise SweepLostError(watch.lost)
        if ledger.failure is not None:
            raise ledger.failure
        if signals:
            raise Interrupted
        return left
