"""A pruner that holds another one back where a cell is too close to the best to be judged early.

What else a machine does moves a cell's speed by some per cent from one moment to the next. Of two cells closer than
that a few rounds cannot tell which is faster, whatever test is made of them; measuring such a cell to its end costs
little, for few cells are so close to the best.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial


def estimate(reports: Mapping[int, float], *, running: bool) -> float:
    """A cell's figure by what was told of its rounds: the last estimate, or the median of single rounds."""
    return reports[max(reports)] if running else median(reports.values())


class MarginPruner(optuna.pruners.BasePruner):
    """Prunes what the wrapped pruner does, except within a margin (a share) of the study's best by the same round."""

    def __init__(self, wrapped: optuna.pruners.BasePruner, margin: float, *, running: bool) -> None:
        self._wrapped, self._margin, self._running = wrapped, margin, running

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        # The wrapped pruner is asked first: successive halving notes what it saw at its rungs.
        return self._wrapped.prune(study, trial) and not self._is_close(study, trial)

    def _is_close(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        now, sign = trial.last_step, 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        told = [
            {step: value for step, value in other.intermediate_values.items() if now is not None and step <= now}
            for other in study.get_trials(deepcopy=False)
            if other.state.is_finished()
        ]
        best = max((sign * estimate(reports, running=self._running) for reports in told if reports), default=None)
        if best is None:
            return False
        own = estimate(trial.intermediate_values, running=self._running)
        return best - sign * own <= self._margin * abs(best)
