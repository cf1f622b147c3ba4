"""The forest plot of a comparison: which rows it shows, how it breaks their labels, what its axis holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from matplotlib.image import imread

from analysis.comparison.forest import (
    _LOOKS,
    MAX_ROWS,
    Ratio,
    _draw_row,
    _in_lines,
    _legend,
    _scale,
    draw_forest,
)


def ratio(value: float, verdict: str = "faster", label: str = "cell") -> Ratio:
    return Ratio(label=label, ratio=value, low=value * 0.98, high=value * 1.02, verdict=verdict)


def drawn(tmp_path: Path, rows: list[Ratio], mean: Ratio | None = None) -> tuple[int, int]:
    """Height and width of the picture in pixels."""
    path = tmp_path / "forest.png"
    draw_forest(path, rows, mean, "Speed of b relative to a")
    height, width, _ = imread(path).shape
    return height, width


def test_a_ratio_is_told_with_its_interval_where_there_is_one() -> None:
    assert ratio(1.5).told == "1.50 (1.47 to 1.53)"
    assert Ratio(label="x", ratio=1.5, low=math.nan, high=math.nan, verdict="unclear").told == "1.50"


def test_the_picture_grows_with_its_rows_up_to_a_page(tmp_path: Path) -> None:
    heights = [drawn(tmp_path, [ratio(1.2)] * n)[0] for n in (1, MAX_ROWS, MAX_ROWS + 5)]
    assert heights[0] < heights[1] == heights[2] < 2000


def test_verdicts_are_told_apart_without_colour() -> None:
    with plt.rc_context():
        figure, axes = plt.subplots()
        for y, name in enumerate(_LOOKS):
            _draw_row(axes, y, ratio(1.2, name))
        looks = {(line.get_marker(), line.get_markerfacecolor() == "white") for line in axes.lines}
        _legend(axes, ["unclear", "slower"])
        told = [text.get_text() for text in axes.get_legend().get_texts()]
        plt.close(figure)
    assert len(looks - {("None", False)}) == len(_LOOKS) == 6
    assert told == ["slower", "unclear"]


def test_a_long_label_breaks_between_settings(tmp_path: Path) -> None:
    long = "single-stream, model_0, cpu, fp32, channels_last, compile reduce-overhead, batch 1024"
    assert _in_lines(long).split("\n") == [
        "single-stream, model_0, cpu, fp32,", "channels_last, compile reduce-overhead,", "batch 1024",
    ]  # fmt: skip
    assert drawn(tmp_path, [ratio(1.2, label=long)])[0] > drawn(tmp_path, [ratio(1.2, label="short")])[0]
    word = "x" * 60
    assert _in_lines(word).replace("\n", "") == word


def test_a_mean_without_interval_and_ratios_far_apart_are_drawn(tmp_path: Path) -> None:
    mean = Ratio(label="geometric mean", ratio=3.0, low=math.nan, high=math.nan, verdict="same")
    rows = [ratio(0.01), ratio(100.0), Ratio(label="x", ratio=2.0, low=math.nan, high=math.nan, verdict="unclear")]
    assert drawn(tmp_path, rows, mean)[0] > drawn(tmp_path, rows)[0]


@pytest.mark.parametrize("ratios", [(0.51, 0.52), (0.97, 1.03), (0.9, 3.1), (0.1, 9.0)])
def test_the_axis_names_the_ratio_of_no_difference(ratios: tuple[float, float]) -> None:
    figure, axes = plt.subplots()
    _scale(axes, [ratio(value) for value in ratios])
    low, high = axes.get_xlim()
    told = [f"{v:g}" for v in axes.get_xticks() if low <= v <= high]
    plt.close(figure)
    assert "1" in told
    assert 3 <= len(told) <= 8
