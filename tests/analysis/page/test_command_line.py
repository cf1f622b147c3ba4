"""What the report scripts share, on real Parquet in every state that a results folder can be in."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.page.command_line import report_main, run_main, run_script
from analysis.page.sections import caveats
from analysis.read.sweep import AnalysisError
from analysis.read.sweeps import Page, find_sweeps, load_all_rounds, load_sweeps, names
from sweeps.commands import main
from sweeps.store.schema import TRIALS
from tests.analysis.conftest import Write, row


@pytest.fixture(autouse=True)
def _same_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.argv`` is the process's own again after each test."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))


ROUNDS = [{"trial_key": "k000", "round": r, "elapsed_s": r + 1.0, "items": 8, "seconds": 1.0} for r in range(2)]


def build(page: Page) -> str:
    (page.figures).mkdir(parents=True, exist_ok=True)
    (page.figures / "x.png").write_bytes(b"")
    return f"# {len(page.trials)} cells\n\n" + "\n".join(caveats(page)) + "\n"


def run(*arguments: str) -> int:
    return run_main(report_main("x", build, ("pruned_on", "copy_in_s"), "x"), arguments)


def test_several_sweeps_are_one_frame_that_knows_each_rows_sweep(write_sweep: Write) -> None:
    one, two = write_sweep([row(0), row(1)], "one"), write_sweep([row(0, host="h2")], "two")
    frame = load_sweeps([one, two])
    assert frame["sweep"].tolist() == ["one", "one", "two"]
    assert frame["trial_key"].tolist() == ["k000", "k001", "k000"]


def test_the_same_sweep_named_twice_counts_once_however_it_is_written(
    write_sweep: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = write_sweep([row(0)], "one"), write_sweep([row(0)], "two")
    monkeypatch.chdir(one.parent)
    assert find_sweeps([one, two, "one", one / ".." / "one"]) == [one, two]


def test_sweeps_called_alike_are_numbered_and_the_working_directory_has_its_name(
    write_sweep: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = write_sweep([row(0)], "a/s")
    other = write_sweep([row(0)], "b/s")
    assert names([one, other]) == ["s (1)", "s (2)"]
    assert load_sweeps([one, other])["sweep"].tolist() == ["s (1)", "s (2)"]
    monkeypatch.chdir(one)
    assert load_sweeps(["."])["sweep"].tolist() == ["s"]


def test_columns_that_are_null_in_one_sweep_keep_the_others_type(write_sweep: Write) -> None:
    one = write_sweep([row(0, energy_per_item_j=None, is_throttled=None)], "one")
    two = write_sweep([row(1, energy_per_item_j=2.0, is_throttled=True)], "two")
    frame = load_sweeps([one, two])
    assert frame["energy_per_item_j"].dtype == "float64"
    assert frame["energy_per_item_j"].isna().tolist() == [True, False]
    assert frame["is_throttled"].tolist()[1] is True


def test_columns_of_an_older_schema_are_added_as_nulls(tmp_path: Path) -> None:
    folder = tmp_path / "old" / "trials"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"trial_key": ["k"], "status": ["complete"], "device": ["cpu"]}), folder / "part-0.parquet")
    frame = load_sweeps([folder.parent], ["copy_in_s", "pruned_on"])
    assert frame["copy_in_s"].isna().all()
    assert frame["copy_in_s"].dtype == "float64"
    assert frame["pruned_on"].isna().all()
    assert frame["throughput_items_per_s"].dtype == "float64"


def test_an_empty_sweep_has_all_columns_and_no_rows(write_sweep: Write) -> None:
    frame = load_sweeps([write_sweep([])], ["copy_in_s"])
    assert len(frame) == 0
    assert {"copy_in_s", "status", "sweep", "host", "throughput_items_per_s"} <= set(frame.columns)


def test_an_empty_sweep_beside_a_full_one_changes_nothing_but_the_count_of_missing(write_sweep: Write) -> None:
    full, empty = write_sweep([row(0), row(1)], "full"), write_sweep([], "empty", n_cells=3)
    frame = load_sweeps([empty, full])
    assert frame["sweep"].tolist() == ["full", "full"]
    assert frame.attrs["missing"] == 3


def test_a_search_that_ended_early_misses_no_cells(write_sweep: Write) -> None:
    folder = write_sweep([row(0)], n_cells=30)
    assert load_sweeps([folder]).attrs["missing"] == 29
    description = json.loads((folder / "sweep.json").read_text())
    description["config"]["search"] = {"sampler": "tpe", "n_trials": 30}
    (folder / "sweep.json").write_text(json.dumps(description))
    assert load_sweeps([folder]).attrs["missing"] == 0


def test_rounds_know_their_sweep_and_a_parquet_file_has_none(write_sweep: Write) -> None:
    one, two = (write_sweep([row(0)], name, rounds=ROUNDS) for name in ("one", "two"))
    rounds = load_all_rounds([one, two])
    assert list(zip(rounds["sweep"], rounds["round"], strict=True)) == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    assert {"energy_j", "loss"} <= set(rounds.columns)
    empty = load_all_rounds([one / "trials" / "part-0.parquet"])
    assert len(empty) == 0
    assert {"sweep", "trial_key", "elapsed_s", "accuracy"} <= set(empty.columns)


def test_a_page_tells_what_was_left_out(write_sweep: Write, tmp_path: Path) -> None:
    one, two = write_sweep([row(0)], "one", n_cells=2), write_sweep([row(0, host="h2")], "two")
    (one / "trials" / "part-<b>.parquet").write_bytes(b"PAR1 torn")
    page = Page(trials=load_sweeps([one, two]), sweeps=[one, two], figures=tmp_path)
    assert caveats(page)[:2] == [
        "1 file could not be read, or does not belong to the sweep, and was left out: part-&lt;b&gt;.parquet.",
        "1 cell is missing: a sweep did not finish.",
    ]
    assert "The cells come from 2 machines." in caveats(page)
    assert page.descriptions["one"]["n_cells"] == 2
    assert len(page.rounds) == 0
    whole = write_sweep([row(0)], "whole")
    told = caveats(Page(trials=load_sweeps([whole]), sweeps=[whole], figures=tmp_path))
    assert not [text for text in told if "left out" in text or "missing" in text or "machines" in text]


def test_the_page_goes_into_the_sweep_beside_several_or_where_it_is_told(
    write_sweep: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = write_sweep([row(0)], "one"), write_sweep([row(1)], "two")
    for arguments, expected in (
        ([str(one)], one / "report_x.md"),
        ([str(one / "trials" / "part-0.parquet")], one / "trials" / "report_x.md"),
        ([str(one), str(two)], one.parent / "report_x.md"),
        ([str(one), "--output", str(tmp_path / "deep" / "page.md")], tmp_path / "deep" / "page.md"),
        ([str(one), "--html"], one / "report_x.html"),
    ):
        assert run(*arguments) == 0
        assert capsys.readouterr().out == f"{expected}\n"
        assert expected.is_file()
        assert (expected.parent / "figures" / "x.png").is_file()
        assert load_sweeps([one])["sweep"].tolist() == ["one"], "a report in the sweep's folder is no result"


@pytest.mark.parametrize("arguments", [["none"], ["one", "none"]], ids=["no sweep", "one of two is none"])
def test_what_is_no_sweep_is_told_in_one_line(
    write_sweep: Write, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_sweep([row(0)], "one").parent)
    assert run(*arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'none' contains no sweep" in told


def test_a_page_or_figure_that_cannot_be_written_is_told_in_one_line(
    write_sweep: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_sweep([row(0)])
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "page.md", folder):  # a folder under a file; a folder in the page's place
        assert run(str(folder), "--output", str(target)) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "cannot write" in told


def test_a_newer_schema_is_refused_by_the_sweeps_name(write_sweep: Write) -> None:
    folder = write_sweep([row(0)], "newer")
    (folder / "sweep.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(AnalysisError, match="newer: schema version 99"):
        load_sweeps([folder])


def test_a_cells_joined_file_and_its_parts_count_once(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep([row(0)])
    part = folder / "trials" / "part-0.parquet"
    schema = TRIALS.with_metadata({**TRIALS.metadata, b"compacted_parts": json.dumps([part.name]).encode()})
    pq.write_table(pa.Table.from_pylist([row(0), row(1)], schema=schema), folder / "trials" / "compact-0.parquet")
    assert load_sweeps([folder])["trial_key"].tolist() == ["k000", "k001"]
    shutil.rmtree(folder / "trials")
    (folder / "trials").mkdir()
    assert isinstance(load_sweeps([folder]), pd.DataFrame)


@pytest.mark.parametrize("script", ["report", "compare"])
def test_a_bad_command_line_is_one_line(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_script(script, ["--nope\n\x1b[31m", "x"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("error: unrecognized arguments: --nope \\x1b[31m\n") or "required: " in told


@pytest.mark.parametrize("subject", ["", "energy", "coverage"])
def test_the_command_teaches_each_page_under_its_own_name(subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", *filter(None, [subject]), "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"usage: accelsweep report {subject}".strip() in told
    assert ("scaling, precision" in told) == (subject == "")


def test_the_command_writes_what_the_script_writes(write_sweep: Write, tmp_path: Path) -> None:
    sweep = write_sweep([row(0), row(1)], "one")
    for name in ("report", "energy"):
        assert run_script(name, [str(sweep), "--output", str(tmp_path / "a" / f"{name}.md")]) == 0
        words = [] if name == "report" else [name]
        assert main(["report", *words, str(sweep), "--output", str(tmp_path / "b" / f"{name}.md")]) == 0
        assert (tmp_path / "a" / f"{name}.md").read_text() == (tmp_path / "b" / f"{name}.md").read_text()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "energy", str(tmp_path / "no-sweep")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("accelsweep report energy: error: ")
    assert told.count("\n") == 1
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--colour"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("accelsweep compare: error: ")
