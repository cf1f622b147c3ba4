"""What Tune is given of a sweep: a trainable, a searcher, a scheduler, callbacks and a stopper; most ask the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.cell.message import Message
from sweeps.choosing.chooser import WAIT
from sweeps.launch.cell_actor import CellActor
from sweeps.launch.cluster import label_selector
from sweeps.launch.lost_nodes import NodeWatch
from sweeps.launch.ray_private import forget, kill_actor, reporter
from sweeps.launch.team.memory_kills import n_memory_kills
from sweeps.launch.team.team_run import HANG_S
from sweeps.plan.cell_options import code_sent
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.runs import measure_of
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.placement import Placement


class CellTrial(tune.Trainable):
    """One cell of the grid as a Tune trial, by the configuration of ``CellActor``.

    Tune makes a ``CellActor`` in its place (``ray_private.plain_workers``), or where it cannot be told to, this, which
    has one inside.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        selector = config["on_nodes"]
        bundles = config["bundles"]
        more = {} if selector is None else {"bundle_label_selector": [selector] * len(bundles)}
        if len(bundles) > 1:
            return tune.PlacementGroupFactory([{}, *bundles], strategy="STRICT_PACK", **more)
        # Tune hands a worker on to trials of the same request alone. Of one bundle the strategy says nothing else.
        strategy = "STRICT_PACK" if config["is_fresh"] else "PACK"
        return tune.PlacementGroupFactory(bundles, strategy=strategy, **more)

    def setup(self, config: dict[str, Any]) -> None:
        self._actor = CellActor(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return self._actor.reset(new_config)

    def step(self) -> dict[str, Any]:
        return self._actor.train()

    def cleanup(self) -> None:
        self._actor.stop()


class CellSearcher(Searcher):
    """Hands out the ledger's cells; the ledger, not Tune, knows which are left."""

    def __init__(
        self, ledger: Ledger, config: SweepConfig, placement: Placement, nodes: NodeWatch | None = None
    ) -> None:
        super().__init__()
        self._ledger, self._config, self._placement = ledger, config, placement
        self._nodes, self._is_one_node = nodes, len(placement.cluster.nodes) == 1

    def suggest(self, trial_id: str) -> Any:
        placement = self._placement
        if self._nodes is not None:
            self._nodes.judge()
        while True:
            cell = self._ledger.hand_out(trial_id, placement.has_room, placement.look_ahead)
            if not isinstance(cell, TrialConfig):
                return None if cell is WAIT else Searcher.FINISHED  # after None Tune asks again
            pool = placement.place(trial_id, cell)
            if pool is not None:
                return {
                    "cell": cell.as_dict(),
                    "measure": asdict(measure_of(cell, self._config)),
                    "is_fresh": cell.repeat > 1,
                    "bundles": [dict(bundle) for bundle in pool.bundles],
                    "n_cpus": pool.n_cpus,
                    "timeout_s": self._config.timeout_of(cell),
                    "hang_s": HANG_S,
                    "on_nodes": None if self._is_one_node else label_selector(pool),
                    "code": code_sent(cell.model, cell.options),
                    "device_facts": self._ledger.device_facts.get(cell.device, {}),
                }
            self._ledger.give_up(trial_id, *placement.why_none(cell))

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


class LedgerScheduler(FIFOScheduler):
    """Runs trials in order, stops the ones that the ledger's pruner gives up, and forgets those that have ended.

    Tune keeps every trial for its own report: some 60 kB each with its last result, in lists that it goes through at
    every step. Our Parquet has the rows, so only the last is kept: Tune reports on at least one.
    """

    def __init__(self, ledger: Ledger, nodes: NodeWatch | None) -> None:
        super().__init__()
        self._ledger, self._nodes = ledger, nodes
        self._ended: list[Any] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        if self._nodes is not None:
            self._nodes.controller = tune_controller

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        message = result.get("message")
        if isinstance(message, Message) and self._ledger.receive(trial.trial_id, message):
            return str(FIFOScheduler.STOP)
        return str(FIFOScheduler.CONTINUE)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Any = None) -> None:
        self._ended.append(trial)

    on_trial_error = on_trial_remove = on_trial_complete

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        older, last = self._ended[:-1], self._ended[-1:]
        self._ended = [trial for trial in older if not forget(tune_controller, trial)] + last
        return super().choose_trial_to_run(tune_controller)


class SilentProgress(reporter()):  # type: ignore[misc]
    """Stands in for the reporter that Tune adds by itself, which prints nothing here and keeps every trial."""

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Nothing: our terminal shows results."""

    on_trial_complete = on_trial_error = on_trial_result


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
        self._n_kills: dict[str, int | None] = {}  # by the kernel, when each trial began

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        self._n_kills[trial.trial_id] = n_memory_kills()

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        running = self._ledger.running
        late = self._ledger.overdue()
        for trial in trials:
            if trial.trial_id in running and trial.status == "RUNNING":
                self._ledger.start(trial.trial_id)
            if trial.trial_id in late:
                kill_actor(trial)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        error = _error_of(trial)
        if self._nodes is not None and self._nodes.failed(trial.trial_id, error):
            return
        # Ray's own monitor says so; of a worker that the kernel killed only the kernel's count tells.
        out_of_memory = any(words in error for words in _OUT_OF_MEMORY) or self._was_killed_here(trial.trial_id)
        self._ledger.close(trial.trial_id, error=error, is_out_of_memory=out_of_memory)

    def _was_killed_here(self, trial_id: str) -> bool:
        """Whether this machine's kernel killed for memory since a trial began that may have run here."""
        now = n_memory_kills()
        if now == self._n_kills.get(trial_id, now):
            return False
        node_id = self._ledger.node_of(trial_id)
        return node_id is None or node_id == ray.get_runtime_context().get_node_id()


_INTERRUPTED = (
    "interrupted: finished cells are kept; stopping the running ones takes up to 15 s, a second Ctrl-C hurries it"
)
"""A worker in the midst of a compilation does not hear; Tune and Ray wait some seconds for it before they kill it."""


class SweepStopper(Stopper):
    """Ends the sweep, and the cell that runs, when the budget is spent or a signal came, and says so then."""

    def __init__(self, ledger: Ledger, signals: list[int], say: Callable[[str], None]) -> None:
        self._ledger, self._signals, self._say, self._has_said = ledger, signals, say, False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the ledger."""
        return {}

    def __call__(self, trial_id: str, result: Any) -> bool:
        return False

    def stop_all(self) -> bool:
        if self._signals and not self._has_said:
            self._has_said = True
            self._say(_INTERRUPTED)
        return self._ledger.is_over_budget or bool(self._signals) or self._ledger.failure is not None
