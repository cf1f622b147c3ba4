"""Sweeps of machines that never met, joined: every row, sample and round stays with its own."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest

from sweeps.commands import main
from sweeps.store.lock import sweep_lock
from sweeps.store.schema import SCHEMA_VERSION
from sweeps.store.store import ResultStore
from tests.sweeps.store.made import STEP_S, write


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "a", "old", "s-one"), write(tmp_path / "b", "new", "s-two", sizes=(1, 2, 4))


def merged(*arguments: str | Path) -> Path:
    assert main(["merge", *map(str, arguments), "--output", "out"]) == 0
    return max(Path("out").glob("*/sweep.json")).parent


def test_the_same_cell_of_two_machines_stays_two_rows_with_samples_and_rounds_of_their_own(machines) -> None:
    folder = merged(*machines)
    trials = pd.read_parquet(folder / "trials")
    assert len(trials) == 5 == trials["trial_key"].nunique() == trials["trial_index"].nunique()
    assert trials.groupby("sweep_id").size().to_dict() == {"s-one": 2, "s-two": 3}
    for table in ("samples", "rounds"):
        whole = pd.read_parquet(folder / table).merge(trials, on="trial_key", validate="many_to_one")
        of_sweep = {"samples": 100, "rounds": 5}[table]
        assert whole.groupby(["host", "batch_size"]).size().tolist() == [of_sweep] * 5
    samples = pd.read_parquet(folder / "samples").merge(trials, on="trial_key")
    assert (samples["seconds"] == samples["host"].map(STEP_S)).all()
    assert (folder / "report.md").is_file()
    store, _ = ResultStore.open(folder, is_read_only=True)
    assert not store.damaged
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == 4  # the three tables and what was asked
    for digest, name in (line.split("  ") for line in sums):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_profiles_and_traces_stay_with_their_rows(machines) -> None:
    for folder in machines:
        store, _ = ResultStore.open(folder)
        row = store.rows()[0]
        store.record(row, None, [], [{"rank": 1, "name": folder.name}], folder.name.encode())
        assert store.rows()[0]["trace"] == f"traces/{row['trial_key']}.json.gz"
    folder = merged(*machines, "--no-report")
    trials = pd.read_parquet(folder / "trials").dropna(subset="trace").set_index("trial_key")
    assert {key: (folder / name).read_bytes().decode() for key, name in trials["trace"].items()} == dict(
        trials["sweep_id"]
    )
    profiles = pd.read_parquet(folder / "profiles").set_index("trial_key")["name"]
    assert dict(profiles) == dict(trials["sweep_id"])


def test_the_sweeps_themselves_are_left_as_they_are(machines) -> None:
    files = {path: path.read_bytes() for folder in machines for path in folder.rglob("*") if path.is_file()}
    merged(*machines)
    assert {path: path.read_bytes() for folder in machines for path in folder.rglob("*") if path.is_file()} == files


def test_the_report_tells_the_machines_apart_and_compare_makes_sides_of_them(machines) -> None:
    from analysis.comparison.page import main as compare

    folder = merged(*machines)
    report = (folder / "report.md").read_text()
    assert "s-one" in report
    assert "s-two" in report
    assert "2 machines" in report
    assert "2 versions of torch: 2.11, 2.14" in report
    assert "accelsweep inference --model m" in report
    assert "--resume" not in report
    for column in ("origin", "host"):  # of one run a side there is no verdict
        assert compare([str(folder), "--across", column, "--output", f"{column}.md"]) == 4
        assert "4" in Path(f"{column}.md").read_text()
    assert compare([str(folder), "--across", "host", "--baseline", "new", "--output", "back.md"]) == 4


def test_a_merged_sweep_can_be_merged_again_but_not_with_what_is_in_it(machines, tmp_path: Path, capsys) -> None:
    first = merged(*machines, "--no-report")
    third = write(tmp_path / "c", "new", "s-three", sizes=(2,), began="2026-02-02")
    assert main(["merge", str(first), str(machines[0]), "--output", "out"]) == 2
    assert "same measurements" in capsys.readouterr().err
    again = merged(first, third, "--no-report")
    trials = pd.read_parquet(again / "trials")
    assert trials.groupby("sweep_id").size().to_dict() == {"s-one": 2, "s-three": 1, "s-two": 3}
    assert trials["trial_key"].nunique() == 6
    assert len(json.loads((again / "sweep.json").read_text())["merged_from"]) == 3


def test_machines_that_began_in_the_same_second_are_told_apart(machines, tmp_path: Path) -> None:
    other = write(tmp_path / "c", "new", "s-one")
    trials = pd.read_parquet(merged(machines[0], other, "--no-report") / "trials")
    assert trials.groupby("sweep_id")["host"].unique().map(list).to_dict() == {"s-one": ["old"], "s-one-2": ["new"]}


def old_version(folder: Path) -> None:
    path = folder / "sweep.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": SCHEMA_VERSION + 1}))


def test_what_cannot_be_merged_is_one_line_and_exit_code_2(machines, tmp_path: Path, capsys) -> None:
    one, two = map(str, machines)

    def refused(*arguments: str) -> str:
        assert main(["merge", *arguments, "--output", "out"]) == 2
        error: str = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert not Path("out").exists()
        return error

    assert "needs two" in refused(one)
    assert "'nowhere' is not a folder" in refused(one, "nowhere")
    (tmp_path / "empty").mkdir()
    assert "'empty' contains no sweep" in refused(one, "empty")
    assert "same measurements" in refused(one, one)
    assert "same measurements" in refused(one, "a")
    with sweep_lock(machines[1]):
        told = refused(one, two)
        assert f"is being run by process {os.getpid()}" in told
        assert told.count(two) == 1
    part = next((machines[1] / "samples").glob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[:50])
    told = refused(one, two)
    assert "not what was written" in told
    assert part.name in told
    part.write_bytes(whole)
    (machines[1] / "SHA256SUMS").unlink()  # as of a version that wrote no digests
    part.write_bytes(whole[:-12] + bytes(12))
    assert part.name in refused(one, two)
    part.write_bytes(whole)
    old_version(machines[1])
    assert f"schema version {SCHEMA_VERSION + 1}" in refused(one, two)


def test_a_merged_sweep_says_what_to_resume_instead(machines, capsys) -> None:
    folder = merged(*machines)
    assert main(["inference", "--resume", folder.name, "--output", "out"]) == 2
    assert "s-one, s-two" in capsys.readouterr().err
