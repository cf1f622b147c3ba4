"""What a second device brings, on hand-made rows with known answers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from analysis.cells.identity import with_identity
from analysis.page.command_line import run_main
from analysis.read.sweeps import load_sweeps
from analysis.subjects.scaling.devices import devices_answer, over_devices
from analysis.subjects.scaling.page import main
from tests.analysis.conftest import Write, row


def cell(index: int, rate: float, n: int | None, half: float = 0.01, **values: Any) -> dict[str, Any]:
    told = {"n_devices": n} if n is not None else {}
    return row(index, step_median_s=8 / rate, throughput_items_per_s=rate, throughput_low_items_per_s=rate * (1 - half),
               throughput_high_items_per_s=rate * (1 + half), **{"batch_size": 8, **told, **values})  # fmt: skip


def told(write_sweep: Write, rows: list[dict[str, Any]]) -> list[str]:
    return devices_answer(over_devices(with_identity(load_sweeps([write_sweep(rows)]))), "images")


def test_a_second_device_is_judged_by_the_same_cell_on_one(write_sweep: Write) -> None:
    rows = [
        cell(0, 100, 1, mean_power_w=300, energy_per_item_j=3.0), cell(1, 90, 1, batch_size=4),
        cell(2, 193, 2, mean_power_w=606, energy_per_item_j=3.14, device_link="NVLink"),
        cell(3, 120, 2, batch_size=4), cell(4, 70, 2, batch_size=2),
    ]  # fmt: skip
    frame = with_identity(load_sweeps([write_sweep(rows)]))
    first, second = over_devices(frame)
    assert first.speedup.value == pytest.approx(1.93)
    assert first.efficiency.value == pytest.approx(0.965)
    assert first.efficiency.low is not None
    assert first.efficiency.low < 0.965 < (first.efficiency.high or 0)
    assert (first.power.value, first.joules.value) == (pytest.approx(2.02), pytest.approx(3.14 / 3))
    assert second.speedup.value == pytest.approx(120 / 90), "the one without a partner is left out"
    (sentence,) = devices_answer([first, second], "images")
    assert sentence.startswith("A second cpu device gives **1.93x (1.90 to 1.96)** the images/s for 2.02x the"
                               " power, 1.05x the energy per item")  # fmt: skip
    assert sentence.endswith("Over all 2 settings it is 1.33x to 1.93x.")


@pytest.mark.parametrize(
    ("rate", "half", "words"),
    [
        (100, 0.01, "gives no more images/s"),
        (60, 0.01, "which is slower"),
        (110, 0.2, "no clear difference from one device"),
    ],
)
def test_what_brings_nothing_is_said_so(write_sweep: Write, rate: float, half: float, words: str) -> None:
    (sentence,) = told(write_sweep, [cell(0, 100, 1, half), cell(1, rate, 2, half)])
    assert words in sentence
    assert not re.search("joules|power|energy", sentence)


def test_old_rows_are_of_one_device_and_servers_are_judged_by_their_rates(write_sweep: Write) -> None:
    assert told(write_sweep, [cell(0, 100, None), cell(1, 90, None, batch_size=4)]) == []
    server = {"scenario": "server", "workload": "inference"}
    rows = [cell(0, 100, None, max_rate_per_s=10.0, **server), cell(1, 100, 4, max_rate_per_s=39.0, **server)]
    (sentence,) = told(write_sweep, rows)
    assert sentence.startswith("4 cpu devices instead of one give 3.90x the requests/s, without an interval")


def test_the_page_begins_with_it_and_has_every_pair(write_sweep: Write) -> None:
    unlinked = [cell(2, 100, 1, batch_size=4), cell(3, 150, 2, batch_size=4)]
    folder = write_sweep([cell(0, 100, 1), cell(1, 190, 2, device_link="PCIe (a host bridge)"), *unlinked])
    assert run_main(main, [str(folder)]) == 0
    text = (folder / "report_scaling.md").read_text()
    assert text.index("A second cpu device gives") < text.index("## Over devices")
    assert "PCIe (a host bridge)" in text
    assert "95.0" in text
    assert "nan" not in text, "of what is not known of the second pair"
