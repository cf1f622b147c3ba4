"""A published sweep, whose tables are a file each: all of them are read, and none of what lies beside another file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.read.published import PUBLISHED
from analysis.read.samples import samples_of
from analysis.read.sweep import find_sweep, load_sweep, unreadable_parts
from analysis.read.sweeps import Page, load_sweeps, names
from analysis.recommendation.why_slow import table
from tests.analysis.conftest import Write, row

REPORTS = Path(__file__).parents[3] / "docs" / "reports"


@pytest.fixture
def published(write_sweep: Write, tmp_path: Path) -> Path:
    """The folder of a published sweep with all of its tables but profiles."""
    rounds = [{"trial_key": "k000", "round": 0, "seconds": 0.1}]
    samples = [{"trial_key": "k000", "phase": "measure", "round": 0, "index": 0, "seconds": 0.1}]
    sweep, folder = write_sweep([row()], rounds=rounds, samples=samples), tmp_path / "mine"
    folder.mkdir()
    for name in ("trials", "rounds", "samples"):
        (sweep / name / "part-0.parquet").rename(folder / f"{name}.parquet")
    return folder


def page(*sweeps: Path) -> Page:
    return Page(trials=load_sweeps(sweeps), sweeps=sweeps, figures=Path("figures"))


def test_its_folder_is_found_and_all_tables_beside_its_trials_are_read(published: Path) -> None:
    file = find_sweep(published)
    assert file == published / PUBLISHED
    found = page(file)
    assert found.rounds["sweep"].tolist() == ["mine"]
    assert [key for _, key, _ in samples_of(found.trials, found.sweeps)] == ["k000"]
    assert (found.profiles.empty, found.descriptions) == (True, {"mine": {}})
    (published / "sweep.json").write_text(json.dumps({"schema_version": 1, "n_cells": 3}))
    assert found.descriptions["mine"]["n_cells"] == load_sweep(file).attrs["description"]["n_cells"] == 3
    (published / "rounds.parquet").write_text("broken")
    assert unreadable_parts(file) == ["rounds.parquet"]


def test_a_file_of_another_name_has_nothing_beside_it(published: Path) -> None:
    other = (published / PUBLISHED).rename(published / "other.parquet")
    found = page(other)
    assert found.rounds.empty
    assert not list(samples_of(found.trials, found.sweeps))
    assert (names([other, other]), unreadable_parts(other)) == (["other (1)", "other (2)"], [])


def test_the_longest_kernels_of_a_published_sweep_are_on_its_page() -> None:
    found = page(find_sweep(REPORTS / "h100" / "sweeps" / "finetune-resnet50"))
    lines = table(found.trials, found.profiles).splitlines()
    column = lines[0].split("|").index(" longest ")
    assert all("%" in line.split("|")[column] for line in lines[2:])
