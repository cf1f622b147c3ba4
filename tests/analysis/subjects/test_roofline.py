"""Rooflines on hand-made cells whose limit is known, and the page in every state of a sweep."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.cells.identity import with_identity
from analysis.read.sweeps import load_sweeps
from analysis.subjects.roofline import page as report_roofline
from analysis.subjects.roofline.figures import engineering
from analysis.subjects.roofline.quantities import Roof, placed, roofs, unplaced
from tests.analysis import states
from tests.analysis.conftest import Write, row


def cell(index: int, intensity: float, achieved: float, **values: object) -> dict[str, object]:
    """A step of a device that does 100 FLOP/s and moves 10 B/s at most, so the ridge is at 10 FLOP/B."""
    plain = {"flops_per_step": 1000.0, "bytes_per_step": 1000.0 / intensity, "intensity_flop_per_byte": intensity,
             "achieved_flop_per_s": achieved, "achieved_bytes_per_s": achieved / intensity, "ceiling_flop_per_s": 100.0,
             "ceiling_bytes_per_s": 10.0}  # fmt: skip
    return row(index, **{**plain, **values})


def frame_of(write_sweep: Write, rows: list[dict[str, object]]) -> pd.DataFrame:
    return with_identity(load_sweeps([write_sweep(rows)], report_roofline.COLUMNS))


def test_the_smaller_of_both_limits_binds_and_the_share_is_of_it(write_sweep: Write) -> None:
    rows = [cell(0, 2.0, 5.0), cell(1, 50.0, 40.0), cell(2, 10.0, 100.0)]
    cells = placed(frame_of(write_sweep, rows))
    assert cells["attainable_flop_per_s"].tolist() == [20.0, 100.0, 100.0]
    assert cells["binding"].tolist() == ["bandwidth", "compute", "compute"]
    assert cells["reached_ratio"].tolist() == [0.25, 0.4, 1.0]
    assert cells["flop_share_ratio"].tolist() == [0.05, 0.4, 1.0]
    assert cells["bandwidth_share_ratio"].tolist() == pytest.approx([0.25, 0.08, 1.0])


def test_a_roof_has_its_ridge_where_both_limits_meet(write_sweep: Write) -> None:
    (roof,) = roofs(placed(frame_of(write_sweep, [cell(0, 2.0, 5.0)])))
    assert roof.ridge_flop_per_byte == 10.0
    assert [roof.attainable(x) for x in (1.0, 10.0, 1000.0)] == [10.0, 100.0, 100.0]


def test_one_ceiling_alone_binds_nothing_but_still_makes_a_roof(write_sweep: Write) -> None:
    cells = placed(frame_of(write_sweep, [cell(0, 2.0, 5.0, ceiling_bytes_per_s=None)]))
    assert cells["binding"].tolist() == [None]
    assert cells["reached_ratio"].isna().all()
    (roof,) = roofs(cells)
    assert roof.ridge_flop_per_byte is None
    assert roof.attainable(2.0) == 100.0
    bare = Roof(group=roof.group, flop_per_s=None, bytes_per_s=None)
    assert pd.isna(bare.attainable(2.0))


def test_each_device_and_precision_has_a_roof_of_its_own(write_sweep: Write) -> None:
    rows = [
        cell(0, 2.0, 5.0),
        cell(1, 2.0, 5.0, precision="bf16", ceiling_flop_per_s=400.0),
        cell(2, 2.0, 5.0, device="gpu"),
    ]
    found = {roof.group.name: roof.flop_per_s for roof in roofs(placed(frame_of(write_sweep, rows)))}
    assert found == {"cpu, fp32": 100.0, "cpu, bf16": 400.0, "gpu, fp32": 100.0}


def test_of_ceilings_measured_twice_the_higher_counts_and_the_page_says_so(write_sweep: Write, tmp_path: Path) -> None:
    idle = write_sweep([cell(0, 50.0, 40.0)], name="idle")
    busy = write_sweep([cell(1, 50.0, 40.0, batch_size=2, ceiling_flop_per_s=50.0)], name="busy")
    cells = placed(with_identity(load_sweeps([idle, busy])))
    assert cells["reached_ratio"].tolist() == [0.4, 0.4]
    assert cells["ceiling_spread_ratio"].tolist() == [2.0, 2.0]
    text = states.page_of(report_roofline.main, [idle, busy], tmp_path / "page.md")
    assert "differ by a factor of 2.00; the highest counts" in text


def test_cells_without_a_place_are_counted_by_reason(write_sweep: Write) -> None:
    rows = [
        cell(0, 2.0, 5.0),
        row(1, compile="default"),
        row(2),
        row(3, scenario="server", flops_per_step=1000.0, bytes_per_step=10.0, intensity_flop_per_byte=100.0),
        row(4, status="oom", compile="default"),
        row(5, compile="default", flops_per_step=1000.0, achieved_flop_per_s=10.0),
        row(6, implementation="fused", compile_s=9.0, flops_per_step=1000.0, achieved_flop_per_s=10.0),
        row(7, flops_per_step=1000.0, achieved_flop_per_s=10.0),
    ]
    assert unplaced(frame_of(write_sweep, rows)) == {
        "compiled": 1, "not counted": 1, "bytes hidden": 2, "bytes unknown": 1, "no step time": 1,
    }  # fmt: skip


def test_a_share_over_one_is_none_and_the_page_says_of_which_and_why(write_sweep: Write, tmp_path: Path) -> None:
    rows = [
        cell(0, 2.0, 30.0, flop_share_ratio=0.3),
        cell(1, 2.0, 5.0, batch_size=4, limits_note="ceilings taken again"),
    ]
    folder = write_sweep(rows)
    cells = placed(with_identity(load_sweeps([folder], report_roofline.COLUMNS)))
    assert cells[["flop_share_ratio", "bandwidth_share_ratio", "reached_ratio"]].isna().to_numpy().tolist() == [
        [False, True, True], [False, False, False],
    ]  # fmt: skip
    text = states.page_of(report_roofline.main, [folder], tmp_path / "page.md")
    assert "1 cell came out above the roof and has no share of it" in text
    assert "1 cell came out above the ceilings, which were measured again; the higher values count." in text
    assert not re.search(r"\b[1-9]\d{2}(?:\.\d)? %", text.replace("100 %", "").replace("100.0 %", "")), (
        "no share over 100 %"
    )


def test_the_page_says_which_limit_binds_and_what_was_reached(write_sweep: Write, tmp_path: Path) -> None:
    rows = [cell(0, 2.0, 5.0), cell(1, 2.0, 2.0, batch_size=4), cell(2, 50.0, 90.0, precision="bf16"),
            cell(3, 2.0, 30.0, precision="tf32")]  # fmt: skip
    text = states.page_of(report_roofline.main, [write_sweep(rows)], tmp_path / "page.md")
    assert "cpu, fp32: the limit is the bandwidth of a copy; batch 8 comes closest, at **25.0 %** of it." in text
    assert "cpu, bf16: the limit is the FLOP/s of a matrix product; batch 8 comes closest, at **90.0 %** of it." in text
    assert "1 of 4 cells reach less than 20 % of their limit" in text
    assert "1 cell came out above the roof and has no share of it" in text
    assert "cpu | bf16 | compute | 8 |" in text
    assert "ridge (FLOP/B)" in text


def test_machines_have_figures_of_their_own(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_roofline.main, [write_sweep(states.mixed())], tmp_path / "page.md")
    assert text.count("![") == 2
    assert "The cells come from 2 machines." in text


@pytest.mark.parametrize(("value", "told"), [(4.25e11, "425 GFLOP/s"), (3e12, "3.00 TFLOP/s"), (12.0, "12.0 FLOP/s")])
def test_ceilings_are_told_with_a_prefix(value: float, told: str) -> None:
    assert engineering(value, "FLOP/s") == told
