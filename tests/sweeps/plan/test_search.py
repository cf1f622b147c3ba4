from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

import optuna
import pytest

from analysis.contract.objectives import Limits, reported_values
from analysis.recommendation.limits import Limits as ReportLimits
from sweeps.choosing.optuna_study import _PRUNERS, make_pruner
from sweeps.plan.search import PRUNERS, PruningConfig, Range, parse_range
from sweeps.plan.search_options import SearchOptions, pruning_config, split_ranges
from workloads.base import BadInputError, Defaults
from workloads.finetune import ROUNDS_PER_EPOCH, Finetune
from workloads.inference import Inference

GRID = Defaults(batch_size=(1,))


@pytest.mark.parametrize("name", [n for n in PRUNERS if n not in {"none", "patient"}])
def test_the_parameters_of_a_pruner_are_optunas(name: str) -> None:
    own = set(inspect.signature(_PRUNERS[name].__init__).parameters) - {"self"}
    assert set(PRUNERS[name]) == own


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_is_made_from_the_command_line_alone(name: str) -> None:
    config = pruning_config(SearchOptions(pruner=name), GRID)  # type: ignore[arg-type]
    assert config.margin == (0.0 if name == "none" else 0.1)
    pruner = make_pruner(dataclasses.replace(config, margin=0.0))
    expected = {"none": "NopPruner"}.get(name, "".join(w.title() for w in name.split("-")) + "Pruner")
    assert type(pruner).__name__ == expected


def test_a_parameter_reaches_optuna() -> None:
    config = pruning_config(SearchOptions(pruner="percentile", percentile=10.0, n_startup_trials=7), GRID)
    pruner = make_pruner(dataclasses.replace(config, margin=0.0))
    assert isinstance(pruner, optuna.pruners.PercentilePruner)
    assert (pruner._percentile, pruner._n_startup_trials, pruner._n_warmup_steps) == (10.0, 7, 2)


def test_a_parameter_of_another_pruner_is_refused_by_name() -> None:
    with pytest.raises(BadInputError, match="--patience: --pruner median has --n-startup-trials"):
        pruning_config(SearchOptions(pruner="median", patience=3), GRID)


def test_a_margin_needs_a_pruner_and_is_a_share() -> None:
    with pytest.raises(BadInputError, match=r"--prune-margin 0\.1: needs a pruner"):
        pruning_config(SearchOptions(prune_margin=0.1), Inference.defaults)
    with pytest.raises(BadInputError, match=r"--prune-margin: 1\.5 is not a share"):
        pruning_config(SearchOptions(pruner="median", prune_margin=1.5), Inference.defaults)
    search = SearchOptions(search="tpe", objective=("accuracy",), pruner="median")
    assert pruning_config(search, Finetune.defaults).margin == 0.0, "accuracy is no noisy share"


def test_only_a_workload_that_reports_accuracy_prunes_on_it() -> None:
    with pytest.raises(BadInputError, match="reports no 'accuracy'"):
        pruning_config(SearchOptions(pruner="median", prune_on="accuracy"), Inference.defaults)
    assert pruning_config(SearchOptions(), Finetune.defaults) == PruningConfig(
        pruner="median", prune_on="accuracy",
        parameters={"n_startup_trials": 2, "n_warmup_steps": ROUNDS_PER_EPOCH},
    )  # fmt: skip
    assert pruning_config(SearchOptions(), Inference.defaults).pruner == "none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:1024:log2", Range(low=1, high=1024, scale="log2")),
        ("1e-5:1e-1:log", Range(low=1e-5, high=0.1, scale="log")),
        ("2:64", Range(low=2, high=64)),
        ("32", None),
        ("auto", None),
    ],
)
def test_a_range_is_read(text: str, expected: Range | None) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["8:8", "9:1:log", "0:4:log", "1:4:cubic"])
def test_a_wrong_range_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="range"):
        parse_range(text)


def test_ranges_leave_the_command_line_and_nothing_else_does() -> None:
    arguments = ["--batch-size", "1:64:log2", "--learning-rate=1e-4:1e-2:log", "--device", "cpu", "--address", "1:2"]
    kept, ranges = split_ranges(Finetune, arguments)
    assert kept == ["--device", "cpu", "--address", "1:2"]
    assert set(ranges) == {"batch_size", "learning_rate"}


def test_a_running_estimate_is_the_best_round_and_the_median_of_joules() -> None:
    rounds = [{"throughput_items_per_s": v, "seconds": 1.0, "items": v, "energy_j": None} for v in (10.0, 30.0, 11.0)]
    assert reported_values("throughput", rounds, 1, running=True) == {1: 10.0, 2: 30.0, 3: 30.0}
    assert reported_values("latency", rounds, 30, running=True) == {1: 3.0, 2: 1.0, 3: 1.0}
    joules = [{**entry, "energy_j": entry["items"] * j} for entry, j in zip(rounds, (3.0, 1.0, 1.5), strict=True)]
    assert reported_values("energy_per_item", joules, 1, running=True) == {1: 3.0, 2: 2.0, 3: 1.5}
    assert reported_values("throughput", rounds, 1, running=False) == {1: 10.0, 2: 30.0, 3: 11.0}
    assert reported_values("latency", rounds, 5, running=False)[1] == pytest.approx(0.5)
    assert reported_values("energy_per_item", rounds, 1, running=True) == {}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
@pytest.mark.parametrize("value", [-1.0, 0.0, 1e-9, 0.5, 1.0, 1.5, 95.0])
def test_a_sweep_and_its_report_accept_the_same_limits(name: str, value: float) -> None:
    def accepts(kind: type[Any], error: type[Exception]) -> bool:
        try:
            kind(**{name: value})
        except error:
            return False
        return True

    assert accepts(ReportLimits, ValueError) == accepts(Limits, ValueError)


def test_limits_measure_by_how_much_they_are_broken() -> None:
    limits = Limits(max_latency_ms=10.0, max_memory_gb=1.0, min_accuracy=0.9)
    row = {"step_median_s": 0.012, "peak_rss_bytes": int(0.5e9), "accuracy_best": None}
    assert limits.violations(row) == {"latency_ms": pytest.approx(2.0), "memory_gb": -0.5, "accuracy": math.inf}
    assert limits.held(row) is False
    assert limits.held({**row, "latency_p99_s": 0.009, "accuracy_best": 0.95}) is True
    assert Limits().held(row) is None
