"""Pruning, search and batch sizes in whole sweeps: real Ray, real Optuna, real memory that ends."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest

from sweeps.commands import main
from tests.sweeps.conftest import Run
from tests.sweeps.installed import install
from tests.sweeps.whole.driving import start, wait_for_rows

HUNGRY = '''
import resource, time, torch
from dataclasses import dataclass
from workloads.base import Defaults, NoOptions, SetupFacts

class Hungry:
    """Fill memory: 64 MiB for each item, of 1 GiB above what the process has."""
    name, item, Options = "hungry", "blocks", NoOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))
    steps_per_round = None

    def __init__(self, context):
        self.items_per_step = context.batch_size

    @classmethod
    def check(cls, options, models): ...

    def setup(self):
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, resource.RLIM_INFINITY))
        return SetupFacts(input_shape="64MiB", input_source="none")

    def step(self):
        block = torch.empty(self.items_per_step, 2**26, dtype=torch.uint8)
        block[:, :: 2**20] = 1  # few pages: a step takes as long for one block as for sixteen, so that each doubling gains
        time.sleep(0.02)

    def end_round(self, index): return {}
    def is_done(self): return False
    def quality(self): return {}
    def teardown(self):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
'''
SHORT = ("--device", "cpu", "--precision", "fp32", "--min-rounds", "2", "--min-s", "0.1", "--max-s", "0.2",
         "--no-report")  # fmt: skip


@pytest.fixture
def hungry(tmp_path: Path) -> Path:
    return install(tmp_path / "site", "hungry:Hungry", HUNGRY)


def only_sweep(results: Path) -> Path:
    (sweep,) = [p for p in results.iterdir() if p.is_dir()]
    return sweep


@pytest.mark.slow
def test_the_largest_batch_size_is_found_by_really_running_out_of_memory(
    accelsweep: Run, hungry: Path, tmp_path: Path
) -> None:
    ended = accelsweep("hungry", *SHORT, "--batch-size", "auto", "--output", "out", PYTHONPATH=str(hungry))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = pd.read_parquet(only_sweep(tmp_path / "out") / "trials").set_index("batch_size")
    largest = rows.index[rows["search_role"].str.contains("largest")].item()
    assert rows.loc[largest, "status"] == "complete"
    assert rows.loc[largest + 1, "status"] == "oom", "the next size was tried and did not fit"
    assert 12 <= largest <= 16, "1 GiB in blocks of 64 MiB, less what the libraries map"
    assert rows["search_role"].str.contains("fastest").sum() == 1
    assert f"largest {largest}" in ended.stdout


@pytest.mark.slow
def test_a_killed_sweep_with_pruning_resumes_its_study(accelsweep: Run, tmp_path: Path) -> None:
    grid = ["--pipeline", "resize", "--implementation", "eager", "--batch-size", "1", "2", "4", "8", "16", "32", *SHORT]
    process = start(tmp_path, "image-processing", *grid, "--pruner", "median", "--output", "out")
    wait_for_rows(tmp_path / "out", 2, process)
    process.kill()
    process.wait()
    sweep = only_sweep(tmp_path / "out")
    before = pd.read_parquet(sweep / "trials").set_index("trial_key")["started_at"]
    ended = accelsweep("image-processing", "--resume", sweep.name, "--output", "out", "--no-report")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = pd.read_parquet(sweep / "trials")
    assert len(rows) == 6 == rows["trial_key"].nunique()
    assert (rows.set_index("trial_key").loc[before.index, "started_at"] == before).all()
    (name,) = rows["study_name"].unique()
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{sweep / 'study.db'}")
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    assert {t.user_attrs["trial_key"]: (t.number, t.state.name) for t in study.trials} == {
        row.trial_key: (row.study_trial, states[row.status]) for row in rows.itertuples()
    }
    assert len(study.trials) == 6, "no cell twice, none left running"


@pytest.mark.slow
def test_a_search_ends_with_its_front_and_a_study(accelsweep: Run, tmp_path: Path) -> None:
    ended = accelsweep(
        "image-processing", *SHORT, "--pipeline", "resize", "--search", "tpe", "--trials", "4", "--batch-size", "1:8:log2",
        "--objective", "throughput", "latency", "--output", "out",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Optuna prunes for one objective only" in ended.stdout
    assert "Pareto front of image-processing resize" in ended.stdout
    sweep = only_sweep(tmp_path / "out")
    rows = pd.read_parquet(sweep / "trials")
    assert len(rows) == 4 == json.loads((sweep / "sweep.json").read_text())["n_cells"]
    (name,) = rows["study_name"].unique()
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{sweep / 'study.db'}")
    assert sorted(t.user_attrs["trial_key"] for t in study.trials) == sorted(rows["trial_key"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batch-size", "1:16"), "--batch-size: a range needs --search"),
        (("--batch-size", "1:16", "4", "--search", "tpe"), "one range '1:16' or values, not both"),
        (("--batch-size", "0.5:4", "--search", "tpe"), "whole ends"),
        (("--objective", "latency"), "needs --search"),
        (("--search", "tpe", "--trials", "0"), "--trials: 0"),
        (("--search", "annealing"), "annealing"),
        (("--pruner", "best"), "best"),
        (("--pruner", "median", "--patience", "3"), "--patience: --pruner median has"),
        (("--search", "tpe", "--objective", "throughput", "latency", "--pruner", "median"), "one objective only"),
        (("--batch-size", "auto", "--pruner", "median"), "--batch-size auto measures every size"),
        (("--batch-size", "auto", "--search", "tpe"), "--batch-size auto: is a search of its own"),
        (("--batch-size", "auto", "4"), "'auto' is not a positive whole number"),
        (("--min-accuracy", "95"), "--min-accuracy: 95 must lie between 0 and 1"),
        (("--max-memory-gb", "-1"), "--max-memory-gb: -1"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert main(["image-processing", *arguments, "--dry-run"]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert len(told.strip().splitlines()) == 1
