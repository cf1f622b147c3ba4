"""Tune's loop over the ledger's cells, on Ray that is started here or joined."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence

from ray import tune
from ray.tune.search import ConcurrencyLimiter

from sweeps.launch.cell_actor import CellActor
from sweeps.launch.cluster import local_cluster
from sweeps.launch.lost_nodes import NodeWatch
from sweeps.launch.lost_servers import RayWatch
from sweeps.launch.ray_private import plain_workers
from sweeps.launch.ray_session import ray_session
from sweeps.launch.ray_start import RayHere, RayOptions
from sweeps.launch.tune_plugins import (
    CellSearcher,
    CellTrial,
    LedgerScheduler,
    LedgerWatch,
    SilentProgress,
    SweepStopper,
)
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.scheduling.endings import Interrupted, SweepLostError, collected_signals
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.nodes import Cluster
from sweeps.scheduling.placement import Placement


def launch(
    config: SweepConfig, ledger: Ledger, options: RayOptions, here: RayHere, machines: Cluster | Mapping[str, int],
    say: Callable[[str], None] = print,
) -> Sequence[TrialConfig]:  # fmt: skip
    """Run every cell that the ledger hands out, each as one Tune trial on exclusive hardware.

    Args:
        config: What was asked.
        ledger: Hands out cells and takes their rows.
        options: How Ray was reached.
        here: Ray as ``ray_here`` starts it on this machine, whose end is begun when the last cell has ended.
        machines: The cluster of an open ``cluster_session``, or how many devices of each type this machine has.
        say: Tells the user a line.

    Returns:
        The cells that were running when the sweep was interrupted or its budget spent; empty otherwise.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything finished recorded.
        SweepLostError: A process of Ray that the sweep needs died, or a row fits no table; the rest is recorded.
        OSError: A row could not be written; everything before it is recorded.
    """
    with (
        ray_session(here.start) if here.start else contextlib.nullcontext(),
        tempfile.TemporaryDirectory(prefix="accelsweep-", ignore_cleanup_errors=True) as scratch,
        collected_signals() as signals,
        RayWatch(here.marked, options.go_on) as watch,
    ):
        cluster = machines if isinstance(machines, Cluster) else None
        if cluster is not None:
            ledger.node_columns = {n.node_id: {"clock_offset_s": n.clock_offset_s} for n in cluster.all_nodes}
        placement = Placement(machines if isinstance(machines, Cluster) else local_cluster(machines), config)
        nodes = NodeWatch(placement, ledger, say, options.node_timeout_s) if cluster else None
        stopper = SweepStopper(ledger, signals, say)
        try:
            with watch.interrupting(), plain_workers(CellActor):
                _run_tune(config, ledger, placement, nodes, stopper, scratch, is_verbose=options.verbose)
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


def _run_tune(
    config: SweepConfig, ledger: Ledger, placement: Placement, nodes: NodeWatch | None, stopper: SweepStopper,
    scratch: str, *, is_verbose: bool,
) -> None:  # fmt: skip
    """Tune's own loop, until no cell is left or the stopper says so; ``scratch`` is the folder that it must have.

    By ``tune.run``, which Ray 2.60 does not call deprecated and which ``Tuner.fit`` itself calls. What a Tuner adds is
    that it can be restored: it pickles all that it was given, and our Parquet is what a sweep goes on from.
    """
    callbacks = [nodes, LedgerWatch(ledger, nodes), None if is_verbose else SilentProgress()]
    tune.run(
        CellTrial,
        name="sweep",
        search_alg=ConcurrencyLimiter(CellSearcher(ledger, config, placement, nodes), placement.n_concurrent),
        scheduler=LedgerScheduler(ledger, nodes),
        callbacks=[callback for callback in callbacks if callback is not None],
        stop=stopper,
        num_samples=-1,
        storage_path=scratch,
        reuse_actors=not config.isolate and config.n_runs == 1,
        max_failures=0,
        raise_on_failed_trial=False,
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        verbose=3 if is_verbose else 0,
        log_to_file=False,
    )
