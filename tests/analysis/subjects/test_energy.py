"""Energy on hand-made cells with known costs, and the page in every state of a sweep."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.cells.groups import groups
from analysis.cells.identity import with_identity
from analysis.figures.front import foremost
from analysis.read.sweeps import load_sweeps
from analysis.subjects.energy import page as report_energy
from analysis.subjects.energy.figures import ENERGY
from analysis.subjects.energy.quantities import best, costs, domain_columns, sources, unknown
from tests.analysis import states
from tests.analysis.conftest import Write, look_at_figures, row


def cell(index: int, throughput: float, joules: float | None, **values: object) -> dict[str, object]:
    plain = {"device": "gpu", "throughput_items_per_s": throughput, "throughput_low_items_per_s": None,
             "throughput_high_items_per_s": None, "energy_per_item_j": joules, "mean_power_w": 200.0, "idle_power_w": 50.0,
             "energy_source": "nvml", "energy_domain": "gpu board",
             "items_per_j": None if joules is None else 1 / joules}  # fmt: skip
    return row(index, **{"batch_size": 2**index, **plain, **values})


def frame_of(write_sweep: Write, rows: list[dict[str, object]]) -> pd.DataFrame:
    return with_identity(load_sweeps([write_sweep(rows)], report_energy.COLUMNS))


def test_the_front_has_the_cells_that_no_other_beats_in_speed_and_energy(write_sweep: Write) -> None:
    rows = [cell(0, 100.0, 1.0), cell(1, 200.0, 2.0), cell(2, 150.0, 2.5), cell(3, 90.0, 1.0), cell(4, 300.0, None)]
    cells = costs(frame_of(write_sweep, rows))
    assert cells["trial_key"].tolist() == ["k000", "k001", "k002", "k003"], "unknown energy is no cell here"
    assert cells["is_on_front"].tolist() == [True, True, False, False]


def test_what_an_item_costs_above_idling(write_sweep: Write) -> None:
    rows = [cell(0, 100.0, 2.0), cell(1, 100.0, 2.0, idle_power_w=None), cell(2, 100.0, 2.0, idle_power_w=250.0)]
    cells = costs(frame_of(write_sweep, rows))
    assert cells["idle_share_ratio"].tolist()[0] == 0.25
    assert cells["above_idle_per_item_j"].tolist()[0] == 1.5
    assert cells["above_idle_per_item_j"].isna().tolist() == [False, True, True], "an idle power over the mean is none"


def test_counters_that_cover_different_things_have_fronts_of_their_own(write_sweep: Write) -> None:
    package = {"device": "cpu", "energy_source": "powercap", "energy_domain": "cpu package"}
    rows = [cell(0, 100.0, 1.0), cell(1, 10.0, 5.0, **package)]
    frame = frame_of(write_sweep, rows)
    cells = costs(frame)
    assert cells["is_on_front"].tolist() == [True, True]
    assert [name for name, _, _ in best(cells, domain_columns(frame, cells))] == ["gpu board", "cpu package"]
    assert sources(cells) == [("gpu", "nvml", "gpu board"), ("cpu", "powercap", "cpu package")]


def test_the_most_frugal_and_the_fastest_cell_of_each_task(write_sweep: Write) -> None:
    rows = [cell(0, 100.0, 1.0), cell(1, 200.0, 2.0), cell(2, 50.0, 3.0, model="n"), cell(3, 60.0, 2.0, model="n")]
    frame = frame_of(write_sweep, rows)
    cells = costs(frame)
    found = best(cells, domain_columns(frame, cells))
    assert [(name, frugal.row["trial_key"], fastest.row["trial_key"]) for name, frugal, fastest in found] == [
        ("m", "k000", "k001"), ("n", "k003", "k003"),
    ]  # fmt: skip


def test_unknown_energy_is_told_by_its_reason(write_sweep: Write) -> None:
    rows = [row(0), row(1, batch_size=2), cell(2, 100.0, None), cell(3, 100.0, 1.0), row(4, status="oom")]
    frame = frame_of(write_sweep, rows)
    assert unknown(frame) == [("cpu", 2, "no counter"), ("gpu", 1, "too short")]
    assert report_energy.unknown_sentences(frame) == [
        "Energy was not measured on cpu (2 cells): no counter could be read there.",
        "Energy was not measured on gpu (1 cell): their measured windows were shorter than ten periods of the counter.",
    ]


def test_the_page_says_who_is_frugal_who_is_fast_and_at_what_price(write_sweep: Write, tmp_path: Path) -> None:
    rows = [cell(0, 100.0, 0.5), cell(1, 250.0, 1.0, mean_power_w=350.0), row(2)]
    text = states.page_of(report_energy.main, [write_sweep(rows)], tmp_path / "page.md")
    assert (
        "Of the 2 of 3 cells with an energy measurement, most images per joule with **gpu, fp32, batch 1**: 2.00 (0.500 J each)"
        in text
    )
    assert "the fastest, gpu, fp32, batch 2, runs at 2.50x the speed for 2.00x the energy" in text
    assert "gpu draws 200 to 350 W under load, idle 50.0 W." in text
    assert "Energy was not measured on cpu (1 cell): no counter could be read there." in text
    assert "gpu: nvml, which covers the gpu board." in text
    assert "2 cells on the Pareto front" in text
    assert "gpu | fp32 | yes | 1 | 100 | 0.500 | 0.375 | 2.00 | 200 |" in text


def test_the_one_cell_whose_energy_is_known_is_the_most_frugal_of_nothing(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(
        report_energy.main, [write_sweep([cell(0, 100.0, 0.5), row(1), row(2, batch_size=4)])], tmp_path / "page.md"
    )
    assert (
        "Energy was measured for 1 of 3 cells only, **gpu, fp32, batch 1**: 2.00 images per joule (0.500 J each)."
        in text
    )
    assert "ost images per joule" not in text
    text = states.page_of(
        report_energy.main, [write_sweep([cell(0, 100.0, 0.5), cell(1, 90.0, 0.6)])], tmp_path / "b.md"
    )
    assert "Most images per joule with **gpu, fp32, batch 1**" in text, "of all cells no number is told"


def test_power_that_contradicts_another_is_left_out_and_counted(write_sweep: Write, tmp_path: Path) -> None:
    rows = [cell(0, 100.0, 0.5, mean_power_w=200.0, peak_power_w=190.0), cell(1, 90.0, 0.6, mean_power_w=40.0)]
    text = states.page_of(report_energy.main, [write_sweep(rows)], tmp_path / "page.md")
    assert ("Left out because other figures of the same cell contradict it: peak power under the mean in 1 cell and"
            " idle power over the mean in 1 cell.") in text  # fmt: skip


def test_where_all_energy_is_unknown_one_sentence_is_all_there_is(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_energy.main, [write_sweep([row(0), row(1, batch_size=16)])], tmp_path / "page.md")
    told = text.split("## ")[0].strip().splitlines()
    assert told[2:] == ["- Energy was not measured on cpu (2 cells): no counter could be read there."]
    assert "![" not in text


def test_a_machine_is_named_although_no_other_has_a_counter(write_sweep: Write, tmp_path: Path) -> None:
    board = write_sweep([cell(0, 100.0, 0.5), cell(1, 90.0, 0.6)], name="workstation")
    none = write_sweep([row(0, host="h2")], name="laptop")
    text = states.page_of(report_energy.main, [board, none], tmp_path / "page.md")
    assert "- workstation: most images per joule with **gpu, fp32, batch 1**" in text
    assert "Energy was not measured on laptop, cpu (1 cell)" in text


def test_of_many_settings_the_most_frugal_are_drawn_and_large_rates_stay_apart(
    write_sweep: Write, tmp_path: Path
) -> None:
    rows = [cell(100 * i + j, size * 1000.0 + i, (20 - i) / size, memory_format=f"f{i}", batch_size=size)
            for i in range(12) for j, size in enumerate((1, 30, 900))]  # fmt: skip
    frame = costs(frame_of(write_sweep, rows))
    shown = foremost(groups(frame, ["memory_format"]), ENERGY)
    assert [group.name for group in shown] == [f"f{i}" for i in range(4, 12)]
    text = states.page_of(report_energy.main, [write_sweep(rows)], tmp_path / "page.md")
    assert text.count("(8 of 12)") == 2


def test_no_two_ways_of_doing_a_task_look_alike(write_sweep: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[object, object]] = []

    def look(drawn: Figure) -> None:
        told = {line.get_label(): line for line in drawn.axes[0].get_lines()}
        looks.extend((told[name].get_color(), told[name].get_marker()) for name in told if name.startswith("gpu"))

    look_at_figures(monkeypatch, look)
    rows = [cell(i, 100.0 + i, 1.0 + i, batch_size=1, memory_format=f"f{i}") for i in range(8)]
    assert report_energy.main([str(write_sweep(rows))]) == 0
    assert len(looks) == len(set(looks)) == 8


def test_a_server_that_falls_behind_is_named_neither_fastest_nor_most_frugal() -> None:
    cells = pd.DataFrame([
        {"status": "complete", "scenario": "server", "rate_per_s": rate, "completed_rate_per_s": completed,
         "throughput_items_per_s": completed, "energy_per_item_j": joules}
        for rate, completed, joules in ((50.0, 50.0, 2.0), (900.0, 90.0, 1.0), (40.0, 40.0, 3.0))
    ])  # fmt: skip
    ((_, frugal, fastest),) = best(cells, [])
    assert (frugal.row["rate_per_s"], fastest.row["rate_per_s"]) == (50.0, 50.0)
