"""Repeats, seeds and the recheck of sweeps in this process: their rows, their order, their counts, and going on."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sweeps.choosing.chooser import Chooser
from sweeps.choosing.passes import Passes
from sweeps.commands import main
from sweeps.plan.config import SweepConfig
from sweeps.scheduling.endings import Interrupted
from sweeps.store.rows import cell_columns
from tests.sweeps.session.without_ray import QUICK, put_loop, put_tiny, raising, rows_of, sweep_id

Say = pytest.CaptureFixture[str]
SWEEP = ("tiny", *(word for word in QUICK if word != "--no-recheck"))


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_tiny(tmp_path, monkeypatch)


def resumed(folder: Path) -> tuple[str, ...]:
    return ("tiny", "--resume", sweep_id(folder / "results"), "--no-report")


def runs_of(folder: Path) -> pd.DataFrame:
    return rows_of(folder / "results").sort_values("started_at", ignore_index=True)


def listed(say: Say) -> list[str]:
    """The line of the only sweep in ``accelsweep list``: runs, done, pruned, unsupported, failed, missing."""
    say.readouterr()
    assert main(["list"]) == 0
    return say.readouterr().out.splitlines()[1].split()[1:]


def test_repeats_are_rows_in_rounds_of_shuffled_order_and_only_those_missing_are_measured_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch, {3: raising(Interrupted())})
    assert main([*SWEEP, "--batch-size", "1", "2", "--does", "fine", "lack in setup", "--repeats", "2"]) == 130
    out = capsys.readouterr().out
    assert "tiny: 4 cells, each 2 times on cpu" in out
    assert "[3/" in out
    assert listed(capsys)[0] in {"4", "5", "6"}, "as far as the rows tell"
    loop = put_loop(monkeypatch)
    assert main(resumed(tmp_path)) == 0
    assert loop.n_ended == 3, "one first run and two repeats of what was measured to its end"
    rows = runs_of(tmp_path)
    assert rows["repeat"].tolist() == [1, 1, 1, 1, 2, 2], "a round ends before the next begins"
    assert set(rows[rows["repeat"] == 2]["status"]) == {"complete"}, "what is unsupported is so again"
    assert rows["trial_key"].is_unique
    assert rows.groupby(["batch_size", "options"])["trial_index"].nunique().eq(1).all(), "they are of one cell"
    assert "4 cells, 6 measurements: 4 complete, 2 unsupported" in capsys.readouterr().out
    assert listed(capsys) == ["6", "4", "0", "2", "0", "0"]


def test_each_seed_is_run_where_the_first_was_and_a_lost_repeat_comes_again_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    loop = put_loop(monkeypatch)
    assert main([*SWEEP, "--seed", "3", "1", "--repeats", "2"]) == 0
    rows = runs_of(tmp_path)
    assert rows[["repeat", "seed"]].to_numpy().tolist() == [[1, 3], [1, 1], [2, 3], [2, 1]]
    out = capsys.readouterr().out
    assert "tiny: 1 cell, each 2 times, each with seeds 3, 1 on cpu" in out
    assert "[4/4] " in out
    assert "1 cell, 4 measurements: 4 complete" in out
    assert "(4 runs, sd " in out
    assert loop.n_ended == 4
    assert listed(capsys) == ["4", "4", "0", "0", "0", "0"]


def test_the_first_cell_of_a_device_is_measured_again_at_the_end_and_that_too_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    put_loop(monkeypatch, {2: raising(Interrupted())})
    assert main([*SWEEP, "--batch-size", "1", "2"]) == 130
    assert listed(capsys) == ["3", "2", "0", "0", "0", "1"]
    assert main([*resumed(tmp_path), "--dry-run"]) == 0
    assert "batch 1 repeat 2" in capsys.readouterr().out
    loop = put_loop(monkeypatch)
    assert main(resumed(tmp_path)) == 0
    assert loop.n_ended == 1
    rows = runs_of(tmp_path)
    assert rows[["batch_size", "repeat"]].to_numpy().tolist() == [[1, 1], [2, 1], [1, 2]]
    assert rows["accuracy_best"].notna().tolist() == [True, True, False], "an epoch's accuracy is none of the cell's"
    out = capsys.readouterr().out
    assert "measuring cpu fp32 batch 1 again in a fresh process" in out
    assert "[3/3] cpu fp32 batch 1 repeat 2: complete" in out
    assert "measured again at the end, in a fresh process, cpu fp32 batch 1 was " in out
    assert listed(capsys) == ["3", "3", "0", "0", "0", "0"]
    again = put_loop(monkeypatch)
    assert main(resumed(tmp_path)) == 0
    assert again.n_ended == 0


@pytest.mark.parametrize("n_repeats", [1, 2])
def test_later_runs_have_the_settings_of_the_first(n_repeats: int) -> None:
    axes = {"runtime": ("torch",), "implementation": ("eager", "frozen"), "parallel": ("ddp",)}
    config = SweepConfig(
        workload="inference", device=("cpu",), batch_size=(1,), precision=("fp32",), model=("m",), n_devices=(2,),
        option_axes=axes, repeats=n_repeats, recheck=True,
    )  # fmt: skip
    rows = {cell.label: cell_columns(cell) | {"status": "complete"} for cell in config.cells()}
    later = Passes(Chooser(()), config, rows.values()).left()
    assert later
    for told in map(cell_columns, later):
        first = next(row for row in rows.values() if row["implementation"] == told["implementation"])
        assert {name for name in told if told[name] != first[name]} == {"repeat", "trial_key"}


@pytest.mark.parametrize(
    ("arguments", "n_runs"),
    [
        (("--batch-size", "1", "2", "--no-recheck"), 2),
        (("--batch-size", "1"), 1),
        (("--batch-size", "1", "2", "--smoke"), 2),
        (("--batch-size", "1", "2", "--does", "fine", "lack in setup", "--batch-size", "1"), 2),
    ],
    ids=["not asked for", "a single cell", "a smoke test", "a single cell that was measured"],
)
def test_nothing_is_measured_again_where_there_is_no_difference_to_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], n_runs: int
) -> None:
    loop = put_loop(monkeypatch)
    assert main([*SWEEP, *arguments]) == 0
    assert loop.n_ended == n_runs
    assert set(rows_of(tmp_path / "results")["repeat"]) == {1}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pruner", "median", "--prune-on", "throughput"),
        ("--search", "random", "--trials", "2"),
    ],
    ids=["a pruner", "a search"],
)
def test_repeats_follow_whatever_chose_the_first_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say, arguments: tuple[str, ...]
) -> None:
    put_loop(monkeypatch)
    assert main([*SWEEP, "--batch-size", "1", "2", "--repeats", "2", *arguments]) == 0
    rows = runs_of(tmp_path)
    n_whole = int(((rows["repeat"] == 1) & (rows["status"] == "complete")).sum())
    assert rows.loc[rows["repeat"] > 1, "repeat"].tolist() == [2] * n_whole
    assert rows.loc[rows["repeat"] > 1, "study_name"].isna().all(), "a study hears of first runs alone"
    assert f"2 cells, {len(rows)} measurements: " in capsys.readouterr().out


def test_a_sweep_from_before_there_were_repeats_is_gone_on_with_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_loop(monkeypatch, {1: raising(Interrupted())})
    assert main([*SWEEP, "--batch-size", "1", "2"]) == 130
    (file,) = (tmp_path / "results").glob("*/sweep.json")
    described = json.loads(file.read_text())
    for name in ("repeats", "other_seeds", "recheck"):
        del described["config"][name]
    for cell in described["cells"]:
        assert "repeat" not in cell
    (file.parent / "SHA256SUMS").unlink()
    file.write_text(json.dumps(described))
    loop = put_loop(monkeypatch)
    assert main(resumed(tmp_path)) == 0
    assert loop.n_ended == 1, "no recheck"


def test_what_makes_no_sense_is_refused_in_one_line(capsys: Say) -> None:
    for arguments, told in (
        (("--repeats", "0"), "--repeats: 0 must lie between 1 and 1000"),
        (("--repeats", "x"), "--repeats: 'x' is not a whole number"),
        (("--seed", "1", "1"), "--seed: [1, 1] names a value twice"),
        (("--seed", "0", "99999999999"), "--seed: 99999999999 must lie between 0 and 4294967295"),
    ):
        assert main(["tiny", *QUICK, *arguments]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
