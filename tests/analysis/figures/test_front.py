"""What is traded for speed: the front upwards and downwards, and where there is nothing to draw."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.cells.groups import Group, groups
from analysis.figures.front import Trade, draw_front
from tests.analysis.conftest import look_at_figures, row

DOWN = Trade(column="cost", name="cost", axis="cost (per {item})")
UP = Trade(column="cost", name="gain", axis="gain", is_lower_better=False)


def task(costs: list[float | None], **values: object) -> Group:
    """Cells of batch 1, 2, 4, ... that run at 100, 200, 300, ... images per second."""
    rows = [
        row(i, batch_size=2**i, throughput_items_per_s=100.0 * (i + 1), **values) | {"cost": cost}
        for i, cost in enumerate(costs)
    ]
    (found,) = groups(pd.DataFrame(rows), [])
    return found


def stairs(monkeypatch: pytest.MonkeyPatch, path: Path, cells: Group, trade: Trade) -> list[tuple[float, float]]:
    """The corners of the front, less its two ends."""
    seen: list[Figure] = []
    look_at_figures(monkeypatch, seen.append)
    assert draw_front(path, cells, trade)
    (line,) = [line for line in seen[0].axes[0].get_lines() if line.get_label() == "Pareto front (filled)"]
    return list(zip(*line.get_data(), strict=True))[1:-1]


def test_the_front_is_of_cells_that_none_beats_in_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert stairs(monkeypatch, path, task([1.0, 3.0, 2.0, 4.0]), DOWN) == [(100, 1), (300, 2), (400, 4)]
    assert stairs(monkeypatch, path, task([0.95, 0.90, 0.97, 0.80]), UP) == [(300, 0.97), (400, 0.80)]


@pytest.mark.parametrize("costs", [[], [1.0], [1.0, None], [2.0, 2.0, 2.0], [1.0, float("nan")]])
def test_what_is_traded_must_be_known_and_vary(costs: list[float | None], tmp_path: Path) -> None:
    if costs:
        assert draw_front(tmp_path / "x.png", task(costs), DOWN) is None
    assert draw_front(tmp_path / "x.png", task([1.0, 2.0], status="pruned"), DOWN) is None
    assert not (tmp_path / "x.png").exists()


def test_shares_that_hardly_differ_are_drawn_on_a_plain_axis(tmp_path: Path) -> None:
    assert draw_front(tmp_path / "x.png", task([99.8, 99.9, 100.0, 99.7]), UP)
    assert draw_front(tmp_path / "zero.png", task([0.0, 50.0, 100.0]), UP)
