from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from analysis.contract.cells import EXIT_USAGE
from analysis.contract.pruners import PRUNERS, parameters_of
from sweeps.choosing.optuna_study import make_pruner
from sweeps.commands import main
from sweeps.plan.from_options import build_config
from sweeps.plan.parsing import parse
from sweeps.plan.search import SAMPLERS, PruningConfig, Range, parse_range
from sweeps.plan.search_options import SearchOptions, pruning_config, search_config, split_ranges
from sweeps.plan.sweep_options import sweep_command
from workloads.base import BadInputError, Defaults
from workloads.finetune import ROUNDS_PER_EPOCH, Finetune
from workloads.inference import Inference
from workloads.registry import load_workload, workload_names

GRID = Defaults(batch_size=(1,))


@pytest.mark.parametrize("name", [n for n in PRUNERS if n not in {"none", "patient"}])
def test_the_parameters_of_a_pruner_are_optunas(name: str) -> None:
    own = set(inspect.signature(getattr(optuna.pruners, PRUNERS[name].optuna).__init__).parameters) - {"self"}
    assert set(parameters_of(name)) == own


def test_a_pruner_that_holds_another_back_takes_its_parameters_too() -> None:
    config = pruning_config(SearchOptions(pruner="patient", patience=5, n_startup_trials=7), GRID)
    pruner = make_pruner(dataclasses.replace(config, margin=0.0))
    assert isinstance(pruner, optuna.pruners.PatientPruner)
    assert pruner._patience == 5
    assert isinstance(pruner._wrapped_pruner, optuna.pruners.MedianPruner)
    assert pruner._wrapped_pruner._n_startup_trials == 7


def test_the_command_line_has_the_table_s_pruners_and_parameters() -> None:
    for name, pruner in PRUNERS.items():
        assert parse(SearchOptions, "x", ["--pruner", name]).pruner == name
        for parameter, told in pruner.parameters.items():
            option = f"--{parameter.replace('_', '-')}"
            assert getattr(parse(SearchOptions, "x", [option, "3"]), parameter) == told.kind(3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pruner": "mean"}, f"--pruner: 'mean' is not one of {', '.join(PRUNERS)}"),
        ({"pruner": "median", "prune_on": "memory"}, "--prune-on: 'memory' is not one of throughput, latency"),
        ({"pruner": "patient", "wrapped_pruner": "wilcoxon"}, "--wrapped-pruner: 'wilcoxon' is not one of median"),
        ({"search": "grid"}, f"--search: 'grid' is not one of {', '.join(SAMPLERS)}"),
        ({"search": "tpe", "objective": ("speed",)}, "--objective: 'speed' is not one of throughput, latency"),
    ],
)
def test_a_name_that_no_table_has_is_refused_with_those_it_has(options: dict[str, Any], said: str) -> None:
    def configured() -> None:
        pruning_config(SearchOptions(**options), GRID)
        search_config(SearchOptions(**options), {})

    with pytest.raises(BadInputError, match=re.escape(said)):
        configured()


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_is_made_from_the_command_line_alone(name: str) -> None:
    config = pruning_config(SearchOptions(pruner=name), GRID)
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


@pytest.mark.parametrize(("pruner", "name"), [(p, name) for p in PRUNERS for name in parameters_of(p)])
def test_what_optuna_refuses_of_a_parameter_is_one_line_before_anything_is_made(pruner: str, name: str) -> None:
    parameter = parameters_of(pruner)[name]
    refused = []
    for value in map(parameter.kind, (-(10**9), -1, 0, 0.5, 1, 2, 3, 100, 101, 10**9)):
        options = SearchOptions(pruner=pruner, **{name: value})
        try:
            config = pruning_config(options, GRID)
        except BadInputError as error:
            refused.append((value, str(error)))
        else:
            make_pruner(config)
    assert refused, "every parameter has a least value"
    for value, told in refused:
        assert re.fullmatch(rf"--{name.replace('_', '-')}: {value} (must|needs) .*", told)
    make_pruner(pruning_config(SearchOptions(pruner=pruner, **{name: parameter.kind(parameter.low)}), GRID))


def test_a_parameter_out_of_range_makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results"
    arguments = ["inference", "--pruner", "percentile", "--percentile", "200", "--output", str(output)]
    assert main([*arguments, "--device", "cpu"]) == EXIT_USAGE
    assert "--percentile: 200.0 must lie between 0 and 100" in capsys.readouterr().err
    assert not output.exists()


def test_what_optuna_takes_only_with_another_parameter_says_which() -> None:
    with pytest.raises(BadInputError, match="--bootstrap-count: 2 needs --max-resource"):
        pruning_config(SearchOptions(pruner="hyperband", bootstrap_count=2), GRID)
    make_pruner(pruning_config(SearchOptions(pruner="hyperband", bootstrap_count=2, max_resource=9), GRID))


def test_a_margin_needs_a_pruner_and_is_a_share() -> None:
    with pytest.raises(BadInputError, match=r"--prune-margin 0\.1: needs a pruner"):
        pruning_config(SearchOptions(prune_margin=0.1), Inference.defaults)
    with pytest.raises(BadInputError, match=r"--prune-margin: 1\.5 must be at least 0"):
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


@pytest.mark.parametrize("name", workload_names())
def test_a_command_line_without_any_option_is_a_sweep(name: str) -> None:
    """README's first command."""
    kind = load_workload(name)
    assert split_ranges(kind, []) == ([], {})
    config = build_config(kind, parse(sweep_command(kind), name, []), ["cpu"])
    assert config.batch_size == kind.defaults.batch_size
