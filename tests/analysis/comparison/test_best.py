"""Each side at its best: devices and settings that the other has not, several sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.analysis.comparison.made import Repeated, Sweep, cells, compared, machine, rows_of
from tests.analysis.conftest import row

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(("column", "value"), [("compile", "default"), ("threads", 2), ("allocator", "kept")])
def test_a_best_with_a_setting_that_the_other_side_was_not_measured_with_is_said_to_be_one(
    column: str, value: Any, repeated: Repeated, tmp_path: Path
) -> None:
    other = [row(9, batch_size=1, step_median_s=0.02, **{column: value})]
    text = compared(tmp_path, repeated("a", cells()), repeated("b", [*cells(), *other]))
    assert (
        f"Not measured with the same settings: b is at its best with {column} {value}, a was not measured with it."
        in text
    )


def test_machines_with_other_devices_are_compared_at_their_best(repeated: Repeated, tmp_path: Path) -> None:
    mac = machine({"cpu": 100, "mps": 1000}, host="m", device_name="Apple M9", energy_domain="soc")
    mac = [
        c | {"items_per_j": c["throughput_items_per_s"] / 20, "energy_per_item_j": 20 / c["throughput_items_per_s"]}
        for c in mac
    ]
    big = machine({"cpu": 200, "cuda": 9000}, host="w", device_name="H900", energy_domain="gpu board")
    big = [
        c | {"items_per_j": c["throughput_items_per_s"] / 500, "energy_per_item_j": 500 / c["throughput_items_per_s"]}
        for c in big
    ]
    one, two = repeated("workstation", big), repeated("mac", mac)
    text = compared(tmp_path, one, two, code=3)
    first, _, second = text.splitlines()[2:5]
    assert first.startswith("- **mac is slower than workstation in all 3 matched cells**: 0.5"), "the CPU is on both"
    assert second.startswith("- At its best, mac runs at 0.11"), "a ninth of the work"
    assert "889 images/s (mps, fp32, batch 64) against 8,000 images/s (cuda, fp32, batch 64)." in second
    table = rows_of(text, "Each side at its best")
    assert table[0] == ["side", "fastest with", "most energy-efficient with (counter)", "throughput (items/s)",
                        "speed ratio (95 % interval)", "energy (items/J)"]  # fmt: skip
    assert table[3][2] == "mps, fp32, batch 64 (soc)"
    assert [line[-1] for line in table[2:]] == ["16.0", "44.4"]
    assert "What the energy counter covers differs: gpu board in workstation; soc in mac." in text
    assert "per joule" not in first + second
    text = compared(tmp_path, one, two, "--allow-different", "energy_domain", code=3)
    assert "; 2.78x the images per joule." in text
    text = compared(tmp_path, one, two, "--across", "device", "--baseline", "mac mps", code=3)
    assert "**workstation cuda is faster than mac mps in all 3 matched cells**: " in text
    assert text.startswith("# workstation cpu, workstation cuda, mac cpu against mac mps\n")


@pytest.mark.drawn
def test_machines_that_share_no_cell_are_still_compared_at_their_best(sweep: Sweep, tmp_path: Path) -> None:
    sides = sweep("w", machine({"cuda": 9000})), sweep("m", machine({"mps": 1000}))
    text = compared(tmp_path, *sides, code=4)
    assert text.splitlines()[2].startswith("- At its best, **m runs at 0.11")
    assert "- m and w share no completed cell." in text
    assert "No cell is the same on all sides: they differ in device (cuda against mps)." in text
    assert "Cell by cell" not in text


def test_the_best_of_several_sweeps_is_no_lucky_one(sweep: Sweep, tmp_path: Path) -> None:
    """Batch 1 was fast once and slow twice; over its three runs batch 2 is the fastest."""
    runs = [sweep(f"a{i}", [row(0, batch_size=1, step_median_s=0.1 / lucky), row(1, batch_size=2, step_median_s=0.1)])
            for i, lucky in enumerate((9.0, 1.0, 1.0))]  # fmt: skip
    others = [sweep(f"b{i}", cells(2.0, n=2)) for i in range(3)]
    text = compared(tmp_path, "a=" + ",".join(map(str, runs)), "b=" + ",".join(map(str, others)), code=4)
    table = rows_of(text, "Each side at its best")
    assert [line[1] for line in table[2:]] == ["cpu, fp32, batch 2"] * 2
    assert [line[2] for line in table[2:]] == ["20.0", "40.0"]
    assert {line[-1] for line in rows_of(text, "Cell by cell")[2:]} == {"3"}, "runs are sweeps"
