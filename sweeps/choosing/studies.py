"""What the choosers with Optuna studies share: a running trial hears of its rounds, a recorded one of its end."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from analysis.contract.cells import Row
from analysis.contract.objectives import OBJECTIVES, told_values
from sweeps.cell.message import Message
from sweeps.choosing.chooser import Chooser, Columns, Rounds
from sweeps.choosing.optuna_study import StudyBook, estimate, finished_trial, finite, make_pruner, make_sampler
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.store.rows import SampleBlock
from sweeps.text import figure

FIELDS = ("device", "precision", "memory_format", "compile", "threads", "allocator", "n_devices", "batch_size")
"""What a search chooses of a cell beside the workload's own options."""
LOG2 = "_log2"
"""Ending of the parameter whose value is the exponent of a power of two."""
Space = Mapping[str, BaseDistribution]
"""What may differ between the trials of a study."""


def choices_of(cell: TrialConfig) -> dict[str, Any]:
    """Everything of a cell that may be a parameter."""
    return {**{name: getattr(cell, name) for name in FIELDS}, **cell.options}


def params_of(cell: TrialConfig, space: Space) -> dict[str, Any]:
    """A cell as a study names it."""
    values = choices_of(cell)
    return {
        key: round(math.log2(values[key.removesuffix(LOG2)])) if key.endswith(LOG2) else values[key] for key in space
    }


def tell(study: optuna.Study, running: optuna.Trial, ended: FrozenTrial) -> None:
    """End a running trial as another one ended."""
    for name, value in ended.user_attrs.items():
        running.set_user_attr(name, value)
    for name, value in ended.constraints.items():
        running.set_constraint(name, value)
    study.tell(running, ended.values if ended.state == TrialState.COMPLETE else None, state=ended.state)


class Studies(Chooser):
    """Studies in memory by name, each with its space, beside the one of its name in the study file.

    ``rows``, with their ``rounds`` by key, are recorded already; ``cells`` are handed out, where they are known.
    """

    def __init__(
        self, cells: Iterable[TrialConfig], config: SweepConfig, book: StudyBook, spaces: Mapping[str, Space],
        rows: Sequence[Row], rounds: Mapping[str, Rounds],
    ) -> None:  # fmt: skip
        super().__init__(cells)
        self._config, self._book, self._spaces = config, book, spaces
        self._objectives = config.search.objectives if config.search else (config.pruning.prune_on,)
        self._is_pruning = len(self._objectives) == 1 and config.pruning.pruner != "none"
        self._running: dict[str, tuple[str, optuna.Trial]] = {}
        self._studies = {name: self._opened(name, rows, rounds) for name in spaces}

    def _label_of(self, name: str, trial: FrozenTrial) -> str:
        """The cell of a finished trial, for people."""
        raise NotImplementedError

    def _opened(self, name: str, rows: Sequence[Row], rounds: Mapping[str, Rounds]) -> optuna.Study:
        """A new study, with what its file and the rows know.

        Some rows a driver recorded and then died before it told the study file.
        """
        directions = [OBJECTIVES[o].direction for o in self._objectives]
        self._book.study(name, directions)
        sampler, pruner = make_sampler(self._config), make_pruner(self._config.pruning)
        study = optuna.create_study(study_name=name, directions=directions, sampler=sampler, pruner=pruner)
        told = {trial.user_attrs["trial_key"] for trial in self._book.trials(name)}
        missing = [row for row in rows if row["study_name"] == name and row["trial_key"] not in told]
        for row in sorted(missing, key=lambda r: r["study_trial"]):
            params = params_of(TrialConfig.from_row(row), self._spaces[name])
            self._book.add(name, self._finished(name, row, params, rounds.get(row["trial_key"], ())))
        if lacking := self._book.flush():
            raise OSError(errno.EIO, lacking)  # what is known so far must be known to the chooser
        study.add_trials(self._book.trials(name))
        return study

    def _finished(self, name: str, row: Row, params: Mapping[str, Any], rounds: Rounds) -> FrozenTrial:
        broken = self._config.limits.violations(row)
        return finished_trial(row, params, self._spaces[name], self._objectives, self._told(row, rounds), broken)

    def _told(self, row: Row, rounds: Rounds) -> dict[int, float]:
        if not self._is_pruning:
            return {}
        per_step = int(row.get("items_per_step") or 1)
        return told_values(self._objectives[0], rounds, per_step, running=self._config.pruning.takes_estimates)

    def report(self, cell: TrialConfig, message: Message, rounds: Rounds) -> Row | None:
        told = self._told(message.row, rounds)
        if not told:
            return None
        name, trial = self._running[cell.key]
        step = max(told)
        trial.report(told[step], step)
        if message.is_final or not trial.should_prune():
            return None
        value = self._shown(self._estimate(told))
        against, after = self._compared_with(name, step), f"{step} round{'s' * (step > 1)}"
        return {
            "pruned_at_round": step - 1, "pruned_on": self._objectives[0], "pruned_against": against,
            "status_reason": f"{self._config.pruning.pruner}: {value} after {after}; {against}",
        }  # fmt: skip

    def _estimate(self, reports: Mapping[int, float]) -> float:
        return estimate(reports, running=self._config.pruning.takes_estimates)

    def _shown(self, value: float) -> str:
        return f"{figure(value)} {OBJECTIVES[self._objectives[0]].unit}"

    def _compared_with(self, name: str, step: int) -> str:
        """The best cell of a study by its report of the same round, or its last one before."""
        ended = [trial for trial in self._studies[name].get_trials(deepcopy=False) if trial.state.is_finished()]
        told = [({s: value for s, value in finite(t.intermediate_values).items() if s <= step}, t) for t in ended]
        found = [(self._estimate(reports), trial) for reports, trial in told if reports]
        gain = OBJECTIVES[self._objectives[0]].gain
        best = max(found, key=lambda pair: gain(pair[0]), default=None)
        return "no other cell" if best is None else f"best {self._shown(best[0])} of {self._label_of(name, best[1])}"

    def close(self, cell: TrialConfig, row: Columns, rounds: list[Columns], samples: list[SampleBlock]) -> None:
        name, _ = self._running[cell.key]
        row.update(study_name=name, study_trial=self._book.n_trials[name])

    def recorded(self, cell: TrialConfig, row: Row, rounds: Rounds) -> None:
        name, trial = self._running.pop(cell.key)
        frozen = self._finished(name, row, trial.params, rounds)
        self._book.add(name, frozen)
        tell(self._studies[name], trial, frozen)

    def summary(self) -> list[str]:
        lacking = self._book.flush()
        return [] if lacking is None else [lacking]

    def forget(self, cell: TrialConfig) -> None:
        self._running.pop(cell.key, None)
