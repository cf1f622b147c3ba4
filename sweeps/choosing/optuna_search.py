"""Search in place of the grid: Optuna's samplers ask for cells, one study for each task."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from analysis.contract.cells import TASK_OPTIONS, Row
from analysis.contract.choice import front, is_candidate
from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES
from sweeps.choosing.chooser import WAIT, Rounds, Wait
from sweeps.choosing.optuna_study import StudyBook
from sweeps.choosing.studies import FIELDS, LOG2, Studies, tell
from sweeps.plan.config import SweepConfig, TrialConfig, task_of
from sweeps.plan.search import Range
from sweeps.text import figure

MAX_REPEATS = 200
"""Proposals of cells that are known already, one after another, after which the space counts as exhausted."""


def _range_distribution(name: str, given: Range) -> dict[str, BaseDistribution]:
    if given.scale == "log2":
        low, high = math.ceil(math.log2(given.low)), math.floor(math.log2(given.high))
        return {name + LOG2: IntDistribution(low, high)}
    if given.is_whole:
        return {name: IntDistribution(int(given.low), int(given.high), log=given.scale == "log")}
    return {name: FloatDistribution(given.low, given.high, log=given.scale == "log")}


def search_space(config: SweepConfig) -> dict[str, BaseDistribution]:
    """The parameters of a search: ranges as they are, axes of several values as categories."""
    assert config.search is not None
    axes: dict[str, Sequence[Any]] = {name: getattr(config, name) for name in FIELDS}
    axes |= {name: values for name, values in config.option_axes.items() if name not in TASK_OPTIONS}
    space: dict[str, BaseDistribution] = {}
    for name, values in axes.items():
        if name in config.search.ranges:
            space |= _range_distribution(name, config.search.ranges[name])
        elif len(values) > 1:
            space[name] = CategoricalDistribution(list(values))
    return space


def cell_of(base: TrialConfig, params: Mapping[str, Any]) -> TrialConfig:
    """A task's cell at some parameters."""
    plain = {name.removesuffix(LOG2): 2**value if name.endswith(LOG2) else value for name, value in params.items()}
    fields = {name: plain.pop(name) for name in FIELDS if name in plain}
    return dataclasses.replace(base, **fields, options={**base.options, **plain})


class SearchStudies(Studies):
    """Asks Optuna for each cell, tells it each row."""

    def __init__(
        self, config: SweepConfig, book: StudyBook, rows: Sequence[Row] = (), rounds: Mapping[str, Rounds] | None = None
    ) -> None:
        assert config.search is not None
        self._n_trials = config.search.n_trials
        self._tasks = {task_of(base): base for base in config.tasks()}
        self._rows: dict[str, dict[str, Row]] = {
            name: {row["trial_key"]: row for row in rows if row["study_name"] == name} for name in self._tasks
        }
        self._exhausted: set[str] = set()
        super().__init__((), config, book, dict.fromkeys(self._tasks, search_space(config)), rows, rounds or {})

    def _label_of(self, name: str, trial: FrozenTrial) -> str:
        return cell_of(self._tasks[name], trial.params).label

    def next_cell(self) -> TrialConfig | Wait | None:
        for name in self._tasks:
            n_running = sum(owner == name for owner, _ in self._running.values())
            if name in self._exhausted or len(self._known(name)) + n_running >= self._n_trials:
                continue
            if n_running:
                return WAIT  # one at a time, so that every proposal knows all that was measured
            if (cell := self._propose(name)) is not None:
                return cell
        return WAIT if self._running else None

    def _known(self, name: str) -> dict[str, FrozenTrial]:
        """The trials that have ended, by the cell's key."""
        trials = self._studies[name].get_trials(deepcopy=False)
        return {trial.user_attrs["trial_key"]: trial for trial in trials if trial.state.is_finished()}

    def _propose(self, name: str) -> TrialConfig | None:
        """A cell that is not known yet; a known one is told its result again, which is how the sampler moves on."""
        study, all_known = self._studies[name], self._known(name)
        for _ in range(MAX_REPEATS):
            trial = study.ask(dict(self._spaces[name]))
            cell = cell_of(self._tasks[name], trial.params)
            if cell.key not in all_known:
                self._running[cell.key] = name, trial
                trial.set_user_attr("trial_key", cell.key)
                return cell
            tell(study, trial, all_known[cell.key])
        self._exhausted.add(name)
        return None

    def recorded(self, cell: TrialConfig, row: Row, rounds: Rounds) -> None:
        self._rows[self._running[cell.key][0]][cell.key] = row
        super().recorded(cell, row, rounds)

    def summary(self) -> list[str]:
        lines, head = super().summary(), "Pareto front" if len(self._objectives) > 1 else "best"
        for name, known in self._rows.items():
            rows = list(known.values())
            is_on = front(rows, self._objectives, self._config.limits)
            n_whole = sum(is_candidate(row, self._objectives, Limits()) for row in rows)
            why = f" none, as none of the {n_whole} cells measured meets the limits" if n_whole else " none"
            why = "" if any(is_on) else why
            lines.append(f"{head} of {name}, {', '.join(self._objectives)}:{why}")
            for row in itertools.compress(rows, is_on):
                told = ((OBJECTIVES[o], OBJECTIVES[o].of_row(row) or 0.0) for o in self._objectives)
                figures = ", ".join(f"{figure(value)} {objective.unit}".strip() for objective, value in told)
                lines.append(f"  {self._label_of(name, self._known(name)[row['trial_key']])}: {figures}")
            if name in self._exhausted:
                lines.append(f"  every cell of the space was measured ({len(rows)})")
        return lines
