"""What a line looks like: group by colour, kind by marker and dashes, intervals where they are known."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from matplotlib.container import ErrorbarContainer

from analysis.figures.lines import Series, draw_series, mark_every
from analysis.stats.estimate import Figure


def drawn(*series: Series) -> list[ErrorbarContainer]:
    figure, axes = plt.subplots()
    try:
        draw_series(axes, series)
        return list(axes.containers)
    finally:
        plt.close(figure)


def line(group: str, kind: str, *values: Figure) -> Series:
    return Series(label=f"{group} {kind}", group=group, kind=kind, x=list(range(len(values))), y=values)


def test_groups_have_colours_and_kinds_markers_and_dashes() -> None:
    one, point = Figure(value=1.0), Figure(value=2.0)
    looks = {
        container.get_label(): (data.get_color(), data.get_marker(), data.get_linestyle())
        for container in drawn(*(line(g, k, one, point) for g in ("cpu", "gpu") for k in ("fp32", "bf16")))
        for data in [container.lines[0]]
    }
    assert len(looks) == len(set(looks.values())) == 4
    assert looks["cpu fp32"][0] == looks["cpu bf16"][0] != looks["gpu fp32"][0]
    assert looks["cpu fp32"][1:] == looks["gpu fp32"][1:] != looks["cpu bf16"][1:]


def test_where_there_is_one_group_kinds_have_colours_too() -> None:
    colours = [
        container.lines[0].get_color() for container in drawn(*(line("cpu", k, Figure(value=1.0)) for k in "ab"))
    ]
    assert len(set(colours)) == 2


def test_points_without_a_value_are_left_out_and_unknown_ends_have_no_length() -> None:
    (container,) = drawn(
        line("cpu", "fp32", Figure(value=2.0, low=1.0, high=5.0), Figure(value=None), Figure(value=3.0))
    )
    data, _, (bars,) = container.lines
    assert list(data.get_xdata()) == [0, 2]
    assert list(data.get_ydata()) == [2.0, 3.0]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[1.0, 5.0], [3.0, 3.0]]


def test_without_any_interval_no_bars_are_drawn() -> None:
    (container,) = drawn(line("cpu", "fp32", Figure(value=2.0), Figure(value=3.0)))
    assert container.lines[2] == ()


@pytest.mark.parametrize(("lengths", "expected"), [([], 1), ([5, 12], 1), ([24], 2), ([3, 240], 20)])
def test_markers_stay_apart_on_the_longest_line(lengths: list[int], expected: int) -> None:
    assert mark_every(lengths) == expected
