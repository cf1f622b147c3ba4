"""Which figures a report draws of which cells; how they look was looked at."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from analysis.cells.identity import narrowed, with_identity
from analysis.figures.panels import value_axis
from analysis.read.sweeps import load_sweeps
from analysis.recommendation.figure_lines import MAX_LINES, fastest_lines
from analysis.recommendation.figures import MAX_TASKS
from analysis.recommendation.page import write_report
from analysis.subjects.precision import page as report_precision
from analysis.subjects.scaling import page as report_scaling
from tests.analysis import states
from tests.analysis.conftest import Write, look_at_figures, row


def of_settings(drawn: Figure) -> bool:
    """Whether a figure is not that of all axes, which has a shape of its own."""
    return "buys" not in drawn.axes[0].get_title("left")


def described(write_sweep: Write, rows: list[dict[str, object]], **limits: float) -> list[str]:
    """The alternative texts of a report's figures, but for that of all axes."""
    return re.findall(r"!\[([^\]]+)\]\(figures/(?!axes)", write_report(write_sweep(rows), **limits).read_text())


def test_the_fastest_lines_are_kept_in_the_order_of_the_grid_each_by_batch_size(write_sweep: Write) -> None:
    rows = [row(10 * i + j, learning_rate=float(i + 1), batch_size=size, step_median_s=0.1 / (1 + (7 * i) % 15))
            for i in range(15) for j, size in enumerate((8, 4))]  # fmt: skip
    frame: pd.DataFrame = with_identity(load_sweeps([write_sweep(rows)]))
    lines, _ = fastest_lines(frame, "batch_size")
    slowest = {f"cpu, fp32, lr {i + 1}" for i in range(15) if (7 * i) % 15 < 15 - MAX_LINES}
    assert [line.label for line in lines] == [
        f"cpu, fp32, lr {i + 1}" for i in range(15) if f"cpu, fp32, lr {i + 1}" not in slowest
    ]
    assert [[r["batch_size"] for r in line.rows] for line in lines] == [[4, 8]] * MAX_LINES


def test_a_panel_needs_values_at_two_batch_sizes(write_sweep: Write) -> None:
    rows = [row(0, batch_size=4, energy_per_item_j=0.5), row(1, batch_size=8)]
    (text,) = described(write_sweep, rows)
    assert text.startswith("Throughput, peak memory over batch size")


def test_settings_of_one_batch_size_are_drawn_side_by_side_and_a_single_cell_not_at_all(write_sweep: Write) -> None:
    rows = [row(i, memory_format=name, step_median_s=0.1 + i) for i, name in enumerate(("contiguous", "channels_last"))]
    (text,) = described(write_sweep, rows)
    assert text.startswith("Throughput of 2 settings")
    assert described(write_sweep, rows[:1]) == []


def test_the_ring_is_around_the_fastest_that_holds_the_limits(write_sweep: Write) -> None:
    rows = [row(0, batch_size=8), row(1, batch_size=16, step_median_s=0.15)]
    assert described(write_sweep, rows)[0].endswith("recommended: cpu, fp32, batch 16 with 107 images/s")
    assert described(write_sweep, rows, max_latency_ms=120)[0].endswith(
        "recommended within the limits: cpu, fp32, batch 8 with 80.0 images/s"
    )


def test_long_names_of_settings_leave_most_of_a_figure_to_its_lines(
    write_sweep: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths: list[float] = []
    look_at_figures(
        monkeypatch, lambda f: of_settings(f) and widths.append(f.axes[0].get_window_extent().width / f.bbox.width)
    )
    names = [(f, c) for f in ("contiguous", "channels_last") for c in ("none", "reduce-overhead")]
    rows = [row(10 * i + j, memory_format=f, compile=c, batch_size=size, device="cuda", precision="bf16")
            for i, (f, c) in enumerate(names) for j, size in enumerate((1, 8, 64, 256, 512))]  # fmt: skip
    described(write_sweep, rows)
    assert min(widths) > 0.5


def many_settings(**shared: object) -> list[dict[str, object]]:
    """Four precisions, of which fp32 is the slowest, in four settings each, at two batch sizes."""
    names = [(p, f, c) for p in ("fp32", "tf32", "bf16", "fp16") for f in ("contiguous", "channels_last")
             for c in ("none", "reduce-overhead")]  # fmt: skip
    return [
        row(10 * i + j, precision=p, memory_format=f, compile=c, batch_size=size, device="cuda",
            step_median_s=1.0 if p == "fp32" else 0.1, **shared)
        for i, (p, f, c) in enumerate(names) for j, size in enumerate((1, 8))
    ]  # fmt: skip


def test_the_slowest_precision_is_drawn_too_and_each_has_a_colour(write_sweep: Write) -> None:
    frame = with_identity(load_sweeps([write_sweep(many_settings())]))
    lines, _ = fastest_lines(frame, "batch_size")
    assert [line.group for line in lines] == [p for p in ("fp32", "tf32", "bf16", "fp16") for _ in range(3)]
    assert len({(line.group, line.kind) for line in lines}) == MAX_LINES


def test_beside_the_fastest_stands_what_differs_from_it_in_one_setting_and_the_legend_says_what_is_left_out(
    write_sweep: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{**r, "implementation": name, "trial_key": f"{name}{i}",
             "throughput_items_per_s": times * float(str(r["throughput_items_per_s"]))}
            for name, times in (("fused", 10), ("eager", 1)) for i, r in enumerate(many_settings())]  # fmt: skip
    frame = with_identity(load_sweeps([write_sweep(rows)]))
    lines, n_lines = fastest_lines(frame, "batch_size")
    shown = {line.label for line in lines}
    beside = (
        "fp32, fused",
        "bf16, fused",
        "tf32",
        "tf32, channels_last, fused",
        "tf32, compile reduce-overhead, fused",
    )
    assert {f"cuda, {name}" for name in ("tf32, fused", *beside)} <= shown
    assert (len(lines), n_lines) == (12, 32)
    assert [line.group for line in lines] == sorted(
        (line.group for line in lines), key=("fp32", "tf32", "bf16", "fp16").index
    ), "the fastest one's eager line comes first in the grid and still not first in colour"
    headings: list[str] = []
    look_at_figures(monkeypatch, lambda f: headings.extend(legend.get_title().get_text() for legend in f.legends))
    described(write_sweep, rows)
    assert headings == ["12 of 32 settings"]


def panel_gap(drawn: Figure) -> float:
    """The largest distance between two panels above each other, as a share of the figure's height."""
    boxes = [axes.get_window_extent() for axes in drawn.axes]
    return float(max((above.y0 - below.y1 for above, below in pairwise(boxes)), default=0) / drawn.bbox.height)


@pytest.mark.parametrize("energy", [0.5, None])
def test_a_long_legend_neither_pushes_panels_apart_nor_leaves_the_figure(
    write_sweep: Write, monkeypatch: pytest.MonkeyPatch, energy: float | None
) -> None:
    seen: list[float] = []

    def look(drawn: Figure) -> None:
        if not of_settings(drawn):
            return
        seen.append(panel_gap(drawn))
        told = drawn.legends[0].get_window_extent()
        assert told.y0 >= 0
        assert told.y1 <= drawn.bbox.height

    look_at_figures(monkeypatch, look)
    described(write_sweep, many_settings(energy_per_item_j=energy, peak_rss_bytes=None))
    assert max(seen) < 0.1


@pytest.mark.parametrize("page", [report_scaling, report_precision])
def test_the_legend_of_a_page_of_its_own_leaves_its_panels_together(
    write_sweep: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: ModuleType
) -> None:
    gaps: list[float] = []
    look_at_figures(monkeypatch, lambda drawn: gaps.append(panel_gap(drawn)))
    states.page_of(page.main, [write_sweep(many_settings(energy_per_item_j=0.5))], tmp_path / "page.md")
    assert gaps
    assert max(gaps) < 0.1


def test_curves_of_many_trainings_leave_room_for_a_legend_that_is_whole(write_sweep: Write) -> None:
    rows = many_settings(workload="finetune", scenario=None, accuracy_best=0.9, target_accuracy=0.85)
    rounds = [{"trial_key": r["trial_key"], "round": i, "elapsed_s": i + 1.0, "seconds": 1.0, "items": 8,
               "accuracy": 0.9 - 0.8 / (i + 1)} for r in rows for i in range(40)]  # fmt: skip
    report = write_report(write_sweep(rows, rounds=rounds))
    figure = plt.imread(report.parent / "figures" / "accuracy.png")
    assert figure.shape[0] > figure.shape[1] / 2, "as tall as its legend, whose words the fixture finds inside"


@pytest.mark.usefixtures("undrawn")
def test_figures_that_a_page_has_no_room_for_are_counted(write_sweep: Write) -> None:
    rows = [row(2 * i + j, model=f"m{i}", batch_size=8 * (j + 1)) for i in range(MAX_TASKS + 2) for j in range(2)]
    text = write_report(write_sweep(rows)).read_text()
    assert text.count("](figures/settings") == MAX_TASKS
    assert f"Figures show the first {MAX_TASKS} tasks; 2 more are in the tables." in text


def test_a_value_near_the_top_of_an_axis_from_zero_keeps_its_whole_marker() -> None:
    with plt.rc_context():
        drawn, axes = plt.subplots()
        axes.plot([1, 8], [1.00, 1.05])
        value_axis(axes, [1.00, 1.05])
        assert axes.get_ylim() == pytest.approx((0, 1.06 * 1.05))
        plt.close(drawn)


def test_a_figure_that_asks_for_a_column_that_was_not_read_says_so(write_sweep: Write) -> None:
    frame = with_identity(load_sweeps([write_sweep([row(0)])]))
    assert {"step_median_s", "batch_size", "trial_key"} <= set(narrowed(frame, ["step_median_s"]))
    with pytest.raises(KeyError, match="colour"):
        narrowed(frame, ["colour"])


def test_the_fastest_of_several_bars_alike_is_shown_whole(write_sweep: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []
    look_at_figures(monkeypatch, lambda f: of_settings(f) and ends.append(f.axes[0].get_xlim()[1]))
    rows = [row(i, batch_size=8, memory_format=f"f{i}", throughput_items_per_s=100.0 + i,
                throughput_low_items_per_s=None, throughput_high_items_per_s=None) for i in range(2)]  # fmt: skip
    assert described(write_sweep, rows)
    assert min(ends) >= 1.03 * 101.0
