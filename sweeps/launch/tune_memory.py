"""Keeping Tune small: trials that have ended are forgotten, so that a sweep's last cells cost what its first did.

Tune keeps every trial for its own report: some 60 kB each with its last result, in lists that it goes through at every
step. Our Parquet has the rows, so nothing of an ended trial is needed.
"""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import FIFOScheduler

from sweeps.launch.ray_private import REPORTER, forget


class SilentProgress(REPORTER):
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
