"""The figure of main effects: it is legible (the conftest looks) and its alternative text says what it shows."""

from __future__ import annotations

from pathlib import Path

from analysis.recommendation.axes.effects import effects
from analysis.recommendation.axes.figure import draw_effects
from tests.analysis.conftest import Write, row
from tests.analysis.recommendation.axes.grids import loaded


def test_a_row_a_setting_with_dots_and_a_mean(write_sweep: Write, tmp_path: Path) -> None:
    rows = [row(i, precision=p, batch_size=b, step_median_s=s * b) for i, (p, b, s) in
            enumerate([("fp32", 1, 0.1), ("bf16", 1, 0.05), ("fp32", 64, 0.02), ("bf16", 64, 0.001)])]  # fmt: skip
    told = draw_effects(tmp_path / "axes.png", effects(loaded(write_sweep, rows)))
    assert told is not None
    assert told.startswith("Speed with each setting over that without: precision bf16 over fp32: 6.32x")
    assert (tmp_path / "axes.png").stat().st_size > 5000


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert draw_effects(tmp_path / "axes.png", []) is None
    assert not (tmp_path / "axes.png").exists()
