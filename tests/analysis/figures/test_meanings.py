"""Colours and markers: none means two things, in one figure or in two of a page; numbers that keep apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure as Drawn
from matplotlib.legend import Legend

from analysis.figures.lines import Series, draw_series
from analysis.figures.meanings import Meanings, meanings, one_page
from analysis.figures.panels import legend_right, log_ticks, named, panels, written_out
from analysis.stats.estimate import Figure


def test_no_colour_and_no_marker_is_given_twice() -> None:
    looks, words = Meanings(), [f"setting {i}" for i in range(60)]
    assert len({looks.colour(word) for word in words}) == 60
    assert len({id(m) if not isinstance(m, str) else m for m in map(looks.marker, words)}) == 60
    assert looks.colour("setting 3") == looks.colour("setting 3") != looks.colour("setting 4")


def test_within_a_page_a_word_looks_the_same_in_every_figure() -> None:
    with one_page():
        first = meanings().colour("bf16"), meanings().marker("fused")
        assert meanings().colour("fp32") != first[0]
        assert (meanings().colour("bf16"), meanings().marker("fused")) == first
    with one_page():
        meanings().colour("fp32")
        assert meanings().colour("bf16") != first[0], "another page begins anew"


def _series(kinds: int, *, apart: float = 1.0) -> list[Series]:
    return [Series(label=f"line {k}", kind=f"line {k}", x=[1, 2, 4], y=[Figure(value=10 + apart * k)] * 3)
            for k in range(kinds)]  # fmt: skip


@pytest.mark.parametrize("kinds", [7, 8, 24])
def test_a_legend_names_every_line_by_looks_of_its_own(tmp_path: Path, kinds: int) -> None:
    with panels(tmp_path / "a.png") as (drawn, (axes,)):
        draw_series(axes, _series(kinds))
        legend_right(axes)
        (legend,) = drawn.findobj(Legend)
        assert len(legend.get_texts()) == kinds
        lines = [container.lines[0] for container in axes.containers]
        signs = [line.get_marker() for line in lines]
        assert len({sign if isinstance(sign, str) else id(sign) for sign in signs}) == kinds
        assert len({line.get_color() for line in lines}) == kinds


def test_lines_that_cover_one_another_are_told_to(tmp_path: Path) -> None:
    for apart, is_told in ((0.001, True), (1.0, False)):
        with panels(tmp_path / "a.png") as (_, (axes,)):
            draw_series(axes, _series(12, apart=apart))
            told = [text.get_text() for text in axes.texts]
        assert told == (["all 12 lines lie within 2 % of one another"] if is_told else [])


def _numbers(drawn: Drawn) -> list[tuple[float, float]]:
    drawn.draw_without_rendering()
    shown = [t.label1 for t in drawn.axes[0].xaxis.get_major_ticks() if t.label1.get_visible() and t.label1.get_text()]
    low, high = drawn.axes[0].bbox.x0 - 40, drawn.axes[0].bbox.x1 + 40
    boxes = [label.get_window_extent() for label in shown]
    return sorted((box.x0, box.x1) for box in boxes if low < box.x0 and box.x1 < high)


@pytest.mark.parametrize(("low", "high"), [(20_000, 70_000), (1e6, 9e6), (100, 130), (3, 4), (1, 1e9), (0.011, 0.019)])
def test_numbers_of_an_axis_keep_apart_and_are_two_at_least(tmp_path: Path, low: float, high: float) -> None:
    with panels(tmp_path / "a.png", size=(3.0, 2.0)) as (drawn, (axes,)):
        axes.plot([low, high], [1, 2])
        axes.set_xscale("log")
        axes.set_xlim(low * 0.95, high * 1.05)
        log_ticks(axes.xaxis, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if high < 8 * low else (1.0,))
        axes.xaxis.set_major_formatter(written_out)
    ends = _numbers(drawn)
    assert len(ends) >= 2
    assert all(left < right for (_, left), (right, _) in itertools.pairwise(ends)), "one runs into the next"
    plt.close("all")


def test_an_alternative_text_names_what_is_drawn_and_how_much_is_not() -> None:
    assert named(["a", "b"], 2) == "of a; b"
    assert named(["a", "b"], 5) == "of a; b (2 of 5)"
