"""Keeping Tune small: trials that have ended are forgotten, so that a sweep's last cells cost what its first did.

Tune keeps every trial for its own report: some 60 kB each with its last result, in lists that it goes through at every
step. Our Parquet has the rows, so nothing of an ended trial is needed. What is touched here are attributes that Ray
2.11 to 2.60 have; one that another version lacks is left alone, which costs memory and nothing else.
"""

from __future__ import annotations

from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler

_SETS = ("_live_trials", "_stopped_trials", "_failed_trials", "_trials_to_cache")
_BY_ID = ("_trial_metadata", "_cached_trial_decisions", "_queued_trial_decisions")


def forget(controller: Any, trial: Any) -> bool:
    """Make Tune's controller let go of a trial; False while an actor still belongs to it."""
    if not trial.is_finished() or trial in getattr(controller, "_trial_to_actor", {}):
        return False
    for name in _SETS:
        getattr(controller, name, set()).discard(trial)
    for name in _BY_ID:
        getattr(controller, name, {}).pop(trial.trial_id, None)
    trials = controller.get_trials()
    if trial in trials:
        trials.remove(trial)
    return True


class SilentProgress(TrialProgressCallback):
    """Stands in for the reporter that Tune adds by itself, which prints nothing here and keeps every trial."""

    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
        """Nothing: our terminal shows results."""

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Nothing, as above."""

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Nothing, as above."""


class ForgettingScheduler(FIFOScheduler):
    """Runs trials in order and forgets the ended ones, but for the last: Tune reports on at least one."""

    def __init__(self) -> None:
        super().__init__()
        self._controller: Any = None
        self._ended: list[Any] = []

    def _note(self, controller: Any, trial: Any) -> None:
        self._controller = controller
        self._ended.append(trial)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Any) -> None:
        self._note(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._note(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._note(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        older, last = self._ended[:-1], self._ended[-1:]
        self._ended = [trial for trial in older if not forget(self._controller, trial)] + last
        return super().choose_trial_to_run(tune_controller)
