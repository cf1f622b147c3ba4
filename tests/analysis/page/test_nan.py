"""NaN is no figure: a cell that has it everywhere is on every page, and the best, fastest or soonest of none."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.comparison.page import main as compare
from analysis.page.command_line import run_script
from analysis.recommendation.page import main as report
from sweeps.store.schema import ROUNDS, TRIALS
from tests.analysis import states
from tests.analysis.conftest import Write
from tests.analysis.subjects.filled import FILLED, Filled

pytestmark = pytest.mark.usefixtures("undrawn")

NAME = "of-nothing"


def of_nothing(filled: Filled) -> Filled:
    """The tables with one more cell, first in the grid, whose every floating column is NaN, in its rounds too.

    It is like the first cell but for its memory format, by which pages name it.
    """
    nan = {f.name: math.nan for f in TRIALS if pa.types.is_floating(f.type)}
    kept = {"learning_rate": filled.rows[0].get("learning_rate")}
    cell = {**filled.rows[0], **nan, **kept, "trial_key": "k9999", "trial_index": -1, "memory_format": NAME}
    of_round = {f.name: math.nan for f in ROUNDS if pa.types.is_floating(f.type)}
    rounds = [{**r, **of_round, "trial_key": "k9999"} for r in filled.rounds if r["trial_key"] == filled.rows[0]["trial_key"]]  # fmt: skip
    return Filled(rows=[cell, *filled.rows], rounds=[*rounds, *filled.rounds], config=filled.config)


def check_not_chosen(text: str) -> None:
    """The answers, which come first on a page, say nothing of the cell; nor is any number of the page NaN."""
    states.check_sensible(text)
    answer = text.partition("\n## ")[0]
    assert NAME not in answer, answer


@pytest.mark.parametrize("subject", FILLED)
def test_a_cell_of_nan_is_the_best_of_no_subject(subject: str, write_sweep: Write, tmp_path: Path) -> None:
    folder = of_nothing(FILLED[subject]()).write(write_sweep)
    main = functools.partial(run_script, subject)
    check_not_chosen(states.page_of(main, [folder], tmp_path / "page.md"))


@pytest.mark.parametrize("subject", ["finetune", "memory"])
def test_it_is_not_recommended(subject: str, write_sweep: Write, tmp_path: Path) -> None:
    folder = of_nothing(FILLED[subject]()).write(write_sweep)
    check_not_chosen(states.page_of(report, [folder], tmp_path / "page.md"))


def test_a_side_s_best_cell_is_none_of_nan(write_sweep: Write, tmp_path: Path) -> None:
    sides = [of_nothing(FILLED["memory"]()).write(functools.partial(write_sweep, name=name)) for name in "ab"]
    assert compare([*map(str, sides), "--output", str(tmp_path / "page.md")]) == 4, "one run a side decides nothing"
    text = (tmp_path / "page.md").read_text()
    check_not_chosen(text)
    _, heading, best = text.partition("## Each side at its best")
    assert heading
    assert NAME not in best.partition("\n## ")[0]
