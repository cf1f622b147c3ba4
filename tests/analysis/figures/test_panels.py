"""Figures of several panels: saved with the same bytes, and with axes whose numbers can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from analysis.figures.panels import batch_axis, n_shown, panels, value_axis, written_out


@pytest.fixture
def axes() -> Iterator[Axes]:
    figure, made = plt.subplots()
    yield made
    plt.close(figure)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_content_is_saved_as_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("one", "two"):
        with panels(tmp_path / name / f"x.{suffix}", 2, size=(5.0, 4.0)) as (_, (above, below)):
            above.plot([1, 2], [3, 4])
            below.set_title("costs $5 and $6", loc="left")
    assert (tmp_path / "one" / f"x.{suffix}").read_bytes() == (tmp_path / "two" / f"x.{suffix}").read_bytes()


def test_a_figure_that_failed_is_neither_saved_nor_kept_open(tmp_path: Path) -> None:
    before = plt.get_fignums()
    with pytest.raises(KeyError), panels(tmp_path / "x.png", 1, size=(5.0, 4.0)):
        raise KeyError
    assert plt.get_fignums() == before
    assert not (tmp_path / "x.png").exists()


def test_batch_sizes_have_ticks_of_their_own_as_far_as_there_is_room(axes: Axes) -> None:
    batch_axis(axes, [1, 2, 4, 8, 12, 16])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8", "12", "16"]
    assert axes.get_xscale() == "log"
    batch_axis(axes, [2**i for i in range(41)])
    ticks = list(axes.get_xticks())
    assert ticks[0] == 1
    assert ticks == [2.0 ** (3 * i) for i in range(len(ticks))], "every third power of two has room"


def test_one_batch_size_stands_in_the_middle(axes: Axes) -> None:
    batch_axis(axes, [8, 8])
    assert axes.get_xlim() == (4.0, 16.0)


def test_values_that_span_little_start_at_zero_and_others_are_logarithmic(axes: Axes) -> None:
    axes.plot([1, 2], [10.0, 30.0])
    value_axis(axes, [10.0, 30.0])
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("linear", 0.0)
    assert axes.get_ylim()[1] >= 30.0 * 1.06
    value_axis(axes, [10.0, 41.0])
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize(("value", "told"), [(1e6, "1,000,000"), (0.05, "0.05"), (2.5, "2.5"), (1e-7, "1e-07")])
def test_ticks_are_written_out(value: float, told: str) -> None:
    assert written_out(value) == told


def test_a_legend_says_what_is_left_out() -> None:
    assert n_shown(12, 32) == "12 of 32 settings"
    assert n_shown(4, 4) is None
