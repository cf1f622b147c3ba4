"""Ray: starting it, what a trial needs of a node, and Tune's loop over the ledger's cells."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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
from ray.tune import Callback, Stopper  # noqa: E402
from ray.tune.schedulers import FIFOScheduler  # noqa: E402
from ray.tune.search import ConcurrencyLimiter, Searcher  # noqa: E402

from sweeps.chooser import WAIT, Message  # noqa: E402
from sweeps.config import SweepConfig, TrialConfig  # noqa: E402
from sweeps.launch_local import leave_at_once, object_store_folder  # noqa: E402
from sweeps.launch_memory import ForgettingScheduler, SilentProgress  # noqa: E402
from sweeps.launch_watch import RayWatch  # noqa: E402
from sweeps.ledger import Interrupted, Ledger, SweepLostError  # noqa: E402
from sweeps.leftovers import guarded  # noqa: E402
from sweeps.measure.environment import usable_cpus  # noqa: E402
from sweeps.measure.memory_kills import n_memory_kills  # noqa: E402
from sweeps.signals import collected_signals  # noqa: E402
from sweeps.trial import CellTrial  # noqa: E402

OBJECT_STORE_BYTES = 100 * 2**20
"""Results are small; Ray's default takes 30 % of the memory that a CPU trial measures with."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How to reach or start Ray."""

    address: str | None = None
    verbose: bool = False
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
        ray.init(address=options.address, **common)
    else:
        accelerators = {name: n for name, n in devices.items() if name != "cpu"}
        try:
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


def resources_for(cell: TrialConfig) -> dict[str, float]:
    """What a cell's trial takes of a node: a CPU trial every core, an accelerator trial its device and its share.

    Exclusive by arithmetic: a CPU trial and an accelerator trial cannot share a node, and no two trials share
    an accelerator.
    """
    total = ray.cluster_resources()
    if cell.device == "cpu":
        cpus = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=1)
        return {"CPU": max(1, cpus)}
    custom = f"accelsweep_{cell.device}"
    if custom in total:
        share = max(1, int(total["CPU"] // max(1, total[custom])))
        needs: dict[str, float] = {"CPU": share, custom: 1}
        if total.get("GPU", 0) >= total[custom]:
            needs["GPU"] = 1  # so that Ray hides the other devices from the worker
        return needs
    return {"CPU": max(1, int(total["CPU"] // max(1, total.get("GPU", 1)))), "GPU": 1}


class CellSearcher(Searcher):
    """Hands out the ledger's cells; the ledger, not Tune, knows which are left."""

    def __init__(self, ledger: Ledger, config: SweepConfig) -> None:
        super().__init__()
        self._ledger, self._measure = ledger, asdict(config.measure.per_visit())

    def suggest(self, trial_id: str) -> Any:
        cell = self._ledger.hand_out(trial_id)
        if cell is None:
            return Searcher.FINISHED
        if cell is WAIT:
            return None  # Tune asks again
        return {
            "cell": cell.as_dict(),
            "measure": self._measure,
            "resources": resources_for(cell),
            "device_facts": self._ledger.device_facts.get(cell.device, {}),
        }

    def on_trial_result(self, trial_id: str, result: Any) -> None:
        """Results are taken by the scheduler, which alone can stop a trial."""

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
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


class LedgerScheduler(ForgettingScheduler):
    """Runs trials in order and stops the ones that the ledger's pruner gives up."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        message = result.get("message")
        if isinstance(message, Message) and self._ledger.receive(trial.trial_id, message):
            return str(FIFOScheduler.STOP)
        return str(FIFOScheduler.CONTINUE)


class LedgerWatch(Callback):
    """Starts the clock of each trial, ends those over their time, and records workers that died."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._n_kills = ledger, n_memory_kills()

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._n_kills = n_memory_kills()

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
        error = trial.get_error()
        # Ray's own monitor says so; of a worker that the kernel killed only the kernel's count tells.
        out_of_memory = "OutOfMemoryError" in f"{type(error).__name__} {error}" or n_memory_kills() != self._n_kills
        self._ledger.close(trial.trial_id, error=str(error), is_out_of_memory=out_of_memory)


class SweepStopper(Stopper):
    """Ends the sweep, and the cell that runs, when the budget is spent or a signal came."""

    def __init__(self, ledger: Ledger, signals: list[int]) -> None:
        self._ledger, self._signals = ledger, signals

    def __call__(self, trial_id: str, result: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._ledger.is_over_budget or bool(self._signals) or self._ledger.failure is not None


def launch(config: SweepConfig, ledger: Ledger, options: RayOptions, devices: dict[str, int]) -> Sequence[TrialConfig]:
    """Run every cell that the ledger hands out, each as one Tune trial on exclusive hardware.

    Returns:
        The cells that were running when the sweep was interrupted or its budget spent; empty otherwise.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP, with everything finished recorded.
        SweepLostError: A process of Ray that the sweep needs died, or a row fits no table; the rest is recorded.
        OSError: A row could not be written; everything before it is recorded.
    """
    with (
        guarded() as marked,
        ray_session(options, devices),
        tempfile.TemporaryDirectory(prefix="accelsweep-", ignore_cleanup_errors=True) as scratch,
        collected_signals() as signals,
        RayWatch(marked, options.go_on) as watch,
    ):
        searcher = CellSearcher(ledger, config)
        n_concurrent = max(1, sum(n for name, n in devices.items() if name in config.device))
        try:
            with watch.interrupting():
                tune.run(
                    CellTrial,
                    name="sweep",
                    search_alg=ConcurrencyLimiter(searcher, max_concurrent=n_concurrent + 1),
                    scheduler=LedgerScheduler(ledger),
                    callbacks=[LedgerWatch(ledger), *([] if options.verbose else [SilentProgress()])],
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
