"""Search and batch sizes in whole sweeps: real Optuna, and memory that really ends in Ray's workers."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest

from sweeps.commands import main
from tests.sweeps.installed import install
from tests.sweeps.session.without_ray import put_loop, put_tiny

HUNGRY = '''
import resource, time, torch
from dataclasses import dataclass
from workloads.base import Defaults, NoOptions, SetupFacts

class Hungry:
    """Fill memory: 1 GiB for each item, of 3.5 above what the process has, so that libraries may map half of one."""
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
        resource.setrlimit(resource.RLIMIT_AS, (used + 7 * 2**29, resource.RLIM_INFINITY))
        return SetupFacts(input_shape="1GiB", input_source="none")

    def step(self):
        block = torch.empty(self.items_per_step, 2**30, dtype=torch.uint8)
        block[:, :: 2**24] = 1  # few pages: a step takes as long for one block as for three, so that each doubling gains
        time.sleep(0.02)

    def end_round(self, index): return {}
    def is_done(self): return False
    def quality(self): return {}
    def teardown(self):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
'''
SHORT = ("--device", "cpu", "--precision", "fp32", "--min-rounds", "2", "--min-s", "0.1", "--max-s", "0.2",
         "--no-report", "--no-recheck")  # fmt: skip


def only_sweep(results: Path) -> Path:
    (sweep,) = [p for p in results.iterdir() if p.is_dir()]
    return sweep


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_the_largest_batch_size_is_found_by_really_running_out_of_memory(
    shared_ray: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(shared_ray, "hungry:Hungry", HUNGRY)
    assert main(["hungry", *SHORT, "--batch-size", "auto", "--output", "out"]) == 0
    rows = pd.read_parquet(only_sweep(tmp_path / "out") / "trials").set_index("batch_size")
    largest = rows.index[rows["search_role"].str.contains("largest")].item()
    assert rows.loc[largest, "status"] == "complete"
    assert rows.loc[largest + 1, "status"] == "oom", "the next size was tried and did not fit"
    assert largest == 3
    assert rows.loc[3, "worker_pid"] != rows.loc[4, "worker_pid"], "a worker whose memory ran out is replaced"
    assert set(rows.index) == {1, 2, 3, 4}
    assert rows["search_role"].str.contains("fastest").sum() == 1
    assert f"largest {largest}" in capsys.readouterr().out


def test_a_search_ends_with_its_front_and_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_tiny(tmp_path, monkeypatch)
    put_loop(monkeypatch)
    search = ("--search", "tpe", "--trials", "4", "--batch-size", "1:8:log2", "--objective", "throughput", "latency")
    assert main(["tiny", *SHORT, *search, "--output", "out"]) == 0
    told = capsys.readouterr().out
    assert "Optuna prunes for one objective only" in told
    assert "Pareto front of tiny" in told
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
        (("--batch-size", "1:16", "4", "--search", "tpe"), "give one range, such as '1:16', or values, not both"),
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
