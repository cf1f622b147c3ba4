"""Ray: starting it, what a trial needs of a node, and Tune's loop over the ledger's cells."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Tune reads these when it is imported. Its loggers took a third of a short sweep's wall time, its
# experiment state is not needed (our Parquet is the truth), and its reporters are replaced by ours.
_TUNE_ENVIRONMENT = {
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
}
for _name, _value in _TUNE_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
warnings.filterwarnings("ignore", module=r"ray\..*")

import ray  # noqa: E402 (after the environment that it reads)
from ray import tune  # noqa: E402
from ray.tune import Callback, Stopper  # noqa: E402
from ray.tune.schedulers import FIFOScheduler  # noqa: E402
from ray.tune.search import ConcurrencyLimiter, Searcher  # noqa: E402

from sweeps.chooser import WAIT, Message  # noqa: E402
from sweeps.config import SweepConfig, TrialConfig  # noqa: E402
from sweeps.launch_nodes import NodeWatch, join, label_selector, local_cluster, read_nodes  # noqa: E402
from sweeps.ledger import Interrupted, Ledger  # noqa: E402
from sweeps.nodes import Cluster  # noqa: E402
from sweeps.placement import Placement  # noqa: E402
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
    if options.address:
        join(options.address, common)
    else:
        accelerators = {name: n for name, n in devices.items() if name != "cpu"}
        ray.init(
            address="local",  # without it Ray joins a cluster that happens to run here, and takes no resources from us
            num_cpus=os.cpu_count(),
            # One custom resource per accelerator type works on every Ray version; Ray itself sees no Apple GPU.
            resources={f"accelsweep_{name}": n for name, n in accelerators.items()},
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **common,
        )
    try:
        yield
    finally:
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


class CellSearcher(Searcher):
    """Hands out the ledger's cells; the ledger, not Tune, knows which are left."""

    def __init__(
        self, ledger: Ledger, config: SweepConfig, placement: Placement, nodes: NodeWatch | None = None
    ) -> None:
        super().__init__()
        self._ledger, self._measure, self._placement = ledger, asdict(config.measure.per_visit()), placement
        self._nodes, self._is_one_node = nodes, len(placement.cluster.nodes) == 1

    def suggest(self, trial_id: str) -> Any:
        placement = self._placement
        if self._nodes is not None:
            self._nodes.judge()
        while True:
            cell = self._ledger.hand_out(trial_id, placement.has_room, placement.look_ahead)
            if cell is None:
                return Searcher.FINISHED
            if cell is WAIT:
                return None  # Tune asks again
            pool = placement.place(trial_id, cell)
            if pool is not None:
                break
            self._ledger.give_up(trial_id, *placement.why_none(cell))
        return {
            "cell": cell.as_dict(),
            "measure": self._measure,
            "resources": dict(pool.needs),
            "on_nodes": None if self._is_one_node else label_selector(pool),
            "device_facts": self._ledger.device_facts.get(cell.device, {}),
        }

    def on_trial_result(self, trial_id: str, result: Any) -> None:
        """Results are taken by the scheduler, which alone can stop a trial."""

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        self._placement.release(trial_id)
        if error:
            return  # recorded by LedgerWatch, which sees what killed the worker
        message = (result or {}).get("message")
        if isinstance(message, Message):  # Tune hands the last result to the searcher, not to the scheduler
            self._ledger.receive(trial_id, message)
        self._ledger.close(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep resumes from its Parquet files."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see ``save``."""


class LedgerScheduler(FIFOScheduler):
    """Runs trials in order and stops the ones that the ledger's pruner gives up."""

    def __init__(self, ledger: Ledger, nodes: NodeWatch | None) -> None:
        super().__init__()
        self._ledger, self._nodes = ledger, nodes

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if self._nodes is not None:
            self._nodes.controller = tune_controller

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        message = result.get("message")
        if isinstance(message, Message) and self._ledger.receive(trial.trial_id, message):
            return str(FIFOScheduler.STOP)
        return str(FIFOScheduler.CONTINUE)


_OUT_OF_MEMORY = ("OutOfMemoryError", "NODE_OUT_OF_MEMORY", "running low on memory")
"""Ray's words for a worker that was killed because its node ran out of memory."""


def _error_of(trial: Any) -> str:
    """What Tune wrote of a trial that failed.

    Its ``get_error`` looks in the storage, where the file comes with the next experiment checkpoint: for us, never.
    """
    try:
        return Path(trial.error_file).read_text(errors="replace")
    except (OSError, TypeError):  # TypeError: it failed before it had a folder
        return ""


class LedgerWatch(Callback):
    """Starts the clock of each trial, ends those over their time, and records workers that died."""

    def __init__(self, ledger: Ledger, nodes: NodeWatch | None) -> None:
        self._ledger, self._nodes = ledger, nodes

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        running = self._ledger.running
        if not running:
            return
        late = set(self._ledger.overdue())
        for trial in reversed(trials):
            if trial.trial_id not in running:
                continue
            if trial.status == "RUNNING":
                self._ledger.start(trial.trial_id)
            if trial.trial_id in late and trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)
            running.pop(trial.trial_id)
            if not running:
                break

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = _error_of(trial)
        if self._nodes is not None and self._nodes.failed(trial.trial_id, error):
            return
        out_of_memory = any(words in error for words in _OUT_OF_MEMORY)
        self._ledger.close(trial.trial_id, error=error, is_out_of_memory=out_of_memory)


class SweepStopper(Stopper):
    """Ends the sweep, and the cell that runs, when the budget is spent or a signal came."""

    def __init__(self, ledger: Ledger, signals: list[int]) -> None:
        self._ledger, self._signals = ledger, signals

    def __call__(self, trial_id: str, result: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._ledger.is_over_budget or bool(self._signals)


@contextlib.contextmanager
def _collected_signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP as a list that grows; a second one interrupts at once, as if uncollected."""
    received: list[int] = []

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    names = [n for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    previous = {n: signal.signal(getattr(signal, n), note) for n in names}
    try:
        yield received
    finally:
        for name, handler in previous.items():
            signal.signal(getattr(signal, name), handler)


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
    """
    with (
        contextlib.nullcontext() if cluster else ray_session(options, devices),
        tempfile.TemporaryDirectory(prefix="accelsweep-") as scratch,
    ):
        if cluster is not None:
            ledger.node_columns = {n.node_id: {"clock_offset_s": n.clock_offset_s} for n in cluster.all_nodes}
        placement = Placement(cluster or local_cluster(devices), config)
        nodes = NodeWatch(placement, ledger, say, options.node_timeout_s) if cluster else None
        searcher = CellSearcher(ledger, config, placement, nodes)
        with _collected_signals() as signals, contextlib.suppress(KeyboardInterrupt):
            tune.run(
                CellTrial,
                name="sweep",
                search_alg=ConcurrencyLimiter(searcher, max_concurrent=placement.n_concurrent),
                scheduler=LedgerScheduler(ledger, nodes),
                callbacks=[*([nodes] if nodes else []), LedgerWatch(ledger, nodes)],
                stop=SweepStopper(ledger, signals),
                num_samples=-1,
                storage_path=scratch,
                reuse_actors=not config.isolate,
                max_failures=0,
                raise_on_failed_trial=False,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                verbose=3 if options.verbose else 0,
                log_to_file=False,
            )
        left = ledger.drop()
        if signals:
            raise Interrupted
        return left
