"""Which sweeps a side is made of, and what it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.comparison.sides import load_side, load_sides
from analysis.read.sweep import AnalysisError
from tests.analysis.comparison.made import Sweep, cells, machine


def test_a_sides_sweeps_are_joined_by_commas_or_by_a_pattern(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mac/one", "mac/two", "other"):
        sweep(name, cells())
    (tmp_path / "mac" / "notes.txt").write_text("no sweep")
    monkeypatch.chdir(tmp_path)
    assert load_side("m=mac/one,mac/two").trials["sweep"].unique().tolist() == ["one", "two"]
    assert load_side("m=mac/*").trials["sweep"].unique().tolist() == ["one", "two"]
    assert load_side("mac/*").label == "one+two"
    assert load_side("x=other").label == "x"
    assert load_side(str(tmp_path / "other")).label == "other"
    with pytest.raises(AnalysisError, match=r"'mac/none\*' contains no sweep"):
        load_side("m=mac/none*")


def test_an_equals_sign_in_a_path_is_no_name(sweep: Sweep, tmp_path: Path) -> None:
    folder = sweep("lr=0.1/s", cells())
    assert load_side(str(folder)).label == "s"
    assert load_side(f"x={folder}").label == "x"


def test_sides_are_split_by_the_values_of_columns(sweep: Sweep) -> None:
    folder = sweep("m", machine({"cpu": 100, "mps": 1000}))
    assert [side.label for side in load_sides([str(folder)], ["device"])] == ["cpu", "mps"]
    assert [side.label for side in load_sides([f"m={folder}", f"n={folder}"], ["device"], "n mps")] == [
        "n mps", "m cpu", "m mps", "n cpu",
    ]  # fmt: skip
