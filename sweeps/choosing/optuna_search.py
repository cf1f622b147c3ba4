"""Search in place of the grid: Optuna's samplers ask for cells, one study for each task."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from analysis.contract.objectives import FIGURES, TASK_OPTIONS, reported_values
from sweeps.cell.message import Message
from sweeps.choosing.chooser import WAIT, Wait, WholeGrid
from sweeps.choosing.optuna_study import StudyBook, finished_trial, make_pruner, make_sampler, n_rounds, takes_estimates
from sweeps.plan.config import SweepConfig, TrialConfig, task_of
from sweeps.plan.search import Range
from sweeps.store.rows import SampleBlock
from sweeps.text import figure

MAX_REPEATS = 200
"""Proposals of cells that are known already, one after another, after which the space counts as exhausted."""
LOG2 = "_log2"
"""Ending of the parameter whose value is the exponent of a power of two."""
_FIELDS = ("device", "precision", "memory_format", "compile", "batch_size")


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
    axes: dict[str, Sequence[Any]] = {name: getattr(config, name) for name in _FIELDS}
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
    fields = {name: value for name, value in plain.items() if name in _FIELDS}
    options = {**base.options, **{name: value for name, value in plain.items() if name not in _FIELDS}}
    return dataclasses.replace(base, **fields, options=options)


def _tell(study: optuna.Study, running: optuna.Trial, ended: optuna.trial.FrozenTrial) -> None:
    """End a running trial as another one ended."""
    for name, value in ended.user_attrs.items():
        running.set_user_attr(name, value)
    for name, value in ended.constraints.items():
        running.set_constraint(name, value)
    is_complete = ended.state == optuna.trial.TrialState.COMPLETE
    study.tell(running, ended.values if is_complete else None, state=ended.state)


class _Task:
    """One study in memory, and the cells it has seen."""

    def __init__(self, base: TrialConfig, config: SweepConfig, book: StudyBook) -> None:
        search = config.search
        assert search is not None
        self.base, self.name = base, task_of(base)
        directions = [FIGURES[o].direction for o in search.objectives]
        book.study(self.name, directions)
        self.study = optuna.create_study(
            study_name=self.name, directions=directions,
            sampler=make_sampler(search.sampler, config.seed), pruner=make_pruner(config.pruning),
        )  # fmt: skip
        self.known: dict[str, optuna.trial.FrozenTrial] = {}
        for trial in book.trials(self.name):
            self.add(trial.user_attrs["trial_key"], trial)
        self.is_exhausted = False

    def add(self, key: str, trial: optuna.trial.FrozenTrial) -> None:
        self.study.add_trial(trial)
        self.known[key] = trial


class SearchStudies(WholeGrid):
    """Asks Optuna for each cell, tells it each row.

    Args:
        config: The sweep, with its search.
        book: The study file.
        rows: Rows recorded already, when a sweep is resumed.
        rounds: Their rounds by key.
    """

    def __init__(
        self,
        config: SweepConfig,
        book: StudyBook,
        rows: Sequence[Mapping[str, Any]] = (),
        rounds: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        super().__init__(())
        assert config.search is not None
        self._config, self._search, self._book = config, config.search, book
        self._space = search_space(config)
        self._tasks = [_Task(base, config, book) for base in config.tasks()]
        self._running: dict[str, tuple[_Task, optuna.Trial]] = {}
        for task in self._tasks:
            missing = [r for r in rows if r["study_name"] == task.name and r["trial_key"] not in task.known]
            for row in sorted(missing, key=lambda r: r["study_trial"]):
                trial = self._finished(self._params_of(row), row, (rounds or {}).get(row["trial_key"], ()))
                book.add(task.name, trial)
                task.add(row["trial_key"], trial)

    def _params_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A recorded row's parameters, as the study names them."""
        import json

        values = {**json.loads(row["options"]), **{name: row[name] for name in _FIELDS}}
        return {
            name: round(math.log2(values[name.removesuffix(LOG2)])) if name.endswith(LOG2) else values[name]
            for name in self._space
        }

    def next_cell(self) -> TrialConfig | Wait | None:
        for task in self._tasks:
            n_running = sum(owner is task for owner, _ in self._running.values())
            if task.is_exhausted or len(task.known) + n_running >= self._search.n_trials:
                continue
            if n_running:
                return WAIT  # one at a time, so that every proposal knows all that was measured
            cell = self._propose(task)
            if cell is not None:
                return cell
        return WAIT if self._running else None

    def _propose(self, task: _Task) -> TrialConfig | None:
        """A cell that is not known yet; a known one is told its result again, which is how the sampler moves on."""
        for _ in range(MAX_REPEATS):
            trial = task.study.ask(dict(self._space))
            cell = cell_of(task.base, trial.params)
            known = task.known.get(cell.key)
            if known is None:
                self._running[cell.key] = task, trial
                trial.set_user_attr("trial_key", cell.key)
                return cell
            _tell(task.study, trial, known)
        task.is_exhausted = True
        return None

    @property
    def _is_pruning(self) -> bool:
        return len(self._search.objectives) == 1 and self._config.pruning.pruner != "none"

    def _reported(self, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> dict[int, float]:
        if not self._is_pruning:
            return {}
        running = takes_estimates(self._config.pruning)
        per_step = int(row.get("items_per_step") or 1)
        return reported_values(self._search.objectives[0], rounds, per_step, running=running)

    def report(
        self, cell: TrialConfig, message: Message, rounds: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        told = self._reported(message.row, rounds)
        if not told:
            return None
        task, trial = self._running[cell.key]
        step = max(told)
        trial.report(told[step], step)
        if message.is_final or not trial.should_prune():
            return None
        name = self._search.objectives[0]
        done = [t for t in task.known.values() if t.state == optuna.trial.TrialState.COMPLETE]
        values = [float(t.values[0]) for t in done]
        pick = max if FIGURES[name].direction == "maximize" else min
        against = (
            f"best {figure(pick(values))} {FIGURES[name].unit} of {len(values)} cells" if values else "no other cell"
        )
        return {
            "pruned_at_round": step - 1, "pruned_on": name, "pruned_against": against,
            "status_reason": f"{self._config.pruning.pruner}: {figure(told[step])} after {n_rounds(step)}; {against}",
        }  # fmt: skip

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        task, _ = self._running[cell.key]
        row.update(study_name=task.name, study_trial=self._book.n_trials(task.name))

    def _finished(
        self, params: Mapping[str, Any], row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]
    ) -> optuna.trial.FrozenTrial:
        broken = self._config.limits.violations(row)
        reported = self._reported(row, rounds)
        return finished_trial(row, params, self._space, self._search.objectives, reported, broken)

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> None:
        task, trial = self._running.pop(cell.key)
        frozen = self._finished(trial.params, row, rounds)
        self._book.add(task.name, frozen)
        _tell(task.study, trial, frozen)
        task.known[cell.key] = frozen

    def forget(self, cell: TrialConfig) -> None:
        self._running.pop(cell.key, None)

    def _why_none(self, task: _Task) -> str:
        """Why a task has no best cell: its limits, or that nothing was measured whole."""
        n_complete = sum(t.state == optuna.trial.TrialState.COMPLETE for t in task.known.values())
        return f" none, for none of the {n_complete} cells measured holds the limits" if n_complete else " none"

    def summary(self) -> list[str]:
        lines = []
        for task in self._tasks:
            try:
                best = task.study.best_trials
            except (ValueError, RuntimeError):
                best = []
            unique = {t.user_attrs["trial_key"]: t for t in best if "trial_key" in t.user_attrs}
            head = "Pareto front" if len(self._search.objectives) > 1 else "best"
            lines.append(
                f"{head} of {task.name}, {', '.join(self._search.objectives)}:"
                + ("" if unique else self._why_none(task))
            )
            for trial in unique.values():
                figures = ", ".join(
                    f"{figure(v)} {FIGURES[o].unit}" for o, v in zip(self._search.objectives, trial.values, strict=True)
                )
                lines.append(f"  {cell_of(task.base, trial.params).label}: {figures}")
            if task.is_exhausted:
                lines.append(f"  every cell of the space was measured ({len(task.known)})")
        return lines
