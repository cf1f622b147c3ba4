"""Optuna's own pruners, held back where a cell is within a margin of the best."""

from __future__ import annotations

import optuna
import pytest

from sweeps.choosing.optuna_study import make_pruner
from sweeps.plan.search import PruningConfig

MEDIAN = {"n_startup_trials": 1, "n_warmup_steps": 0}
HALVING = {"min_resource": 1, "reduction_factor": 4}


def study_of(pruner: str, margin: float, direction: str = "maximize", **parameters: float) -> optuna.Study:
    """A study in which one trial reached 100 in each of ten rounds."""
    config = PruningConfig(pruner=pruner, parameters=parameters, margin=margin)
    study = optuna.create_study(direction=direction, pruner=make_pruner(config))
    best = study.ask({})
    for step in range(1, 11):
        best.report(100.0, step)
        assert not best.should_prune(), "the first cell has no better one"
    study.tell(best, 100.0)
    return study


def pruned_at(study: optuna.Study, value: float) -> int | None:
    """The round at which a trial of ten equal reports is given up."""
    trial = study.ask({})
    for step in range(1, 11):
        trial.report(value, step)
        if trial.should_prune():
            return step
    return None


@pytest.mark.parametrize(("pruner", "parameters"), [("median", MEDIAN), ("successive-halving", HALVING)])
@pytest.mark.parametrize(("direction", "close", "worse"), [("maximize", 96.0, 94.0), ("minimize", 104.0, 106.0)])
def test_a_cell_within_the_margin_goes_on_and_one_beyond_is_given_up(
    pruner: str, parameters: dict[str, float], direction: str, close: float, worse: float
) -> None:
    assert pruned_at(study_of(pruner, 0.05, direction, **parameters), close) is None
    assert pruned_at(study_of(pruner, 0.05, direction, **parameters), worse) is not None
    assert pruned_at(study_of(pruner, 0.0, direction, **parameters), close) is not None, "Optuna's pruner alone"


def test_single_rounds_are_judged_by_their_median() -> None:
    study = study_of("wilcoxon", 0.05, p_threshold=0.2, n_startup_steps=0)
    trial = study.ask({})
    for step in range(1, 11):
        trial.report(97.0 if step != 10 else 50.0, step)
        assert not trial.should_prune(), "one slow round is no slow cell"
    assert pruned_at(study, 80.0) is not None


def test_only_what_the_best_reached_by_the_same_round_counts() -> None:
    study = study_of("median", 0.05, n_startup_trials=1, n_warmup_steps=0)
    faster = study.ask({})
    for step in range(1, 11):
        faster.report(98.0 if step < 10 else 200.0, step)
    study.tell(faster, 200.0)
    late = study.ask({})
    for step in range(1, 10):
        late.report(96.0, step)
        assert not late.should_prune()
    late.report(96.0, 10)
    assert late.should_prune()


def test_what_is_no_number_is_not_the_best() -> None:
    study = study_of("median", 0.05, **MEDIAN)
    unknown = study.ask({})
    unknown.report(float("nan"), 1)
    study.tell(unknown, state=optuna.trial.TrialState.PRUNED)
    assert pruned_at(study, 94.0) is not None
    assert pruned_at(study, 96.0) is None
