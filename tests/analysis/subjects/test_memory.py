"""Memory on hand-made cells whose line and verdicts are known, and the page in every state of a sweep."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.cells.identity import with_identity
from analysis.read.sweeps import load_sweeps
from analysis.subjects.memory import page as report_memory
from analysis.subjects.memory import quantities as memory
from analysis.subjects.memory.quantities import fits, growth, leaks, peaks, room_for, slope_verdict, verdict_counts
from tests.analysis import states
from tests.analysis.conftest import Write, row

MIB = 2**20


def cell(index: int, batch: int, **values: object) -> dict[str, object]:
    """A cell of a device with 1,000 MiB: 100 MiB of weights and 10 MiB for each item."""
    plain = {"device": "gpu", "batch_size": batch, "device_peak_allocated_bytes": (100 + 10 * batch) * MIB,
             "device_total_bytes": 1000 * MIB, "static_bytes": 100 * MIB, "host_total_bytes": 64 * 2**30}  # fmt: skip
    return row(index, **{**plain, **values})


def out_of_memory(index: int, batch: int, **values: object) -> dict[str, object]:
    return cell(index, batch, status="oom", device_peak_allocated_bytes=None, **values)


def leaking(index: int, verdict: str, slope: float, **values: object) -> dict[str, object]:
    """A cell whose host memory grows by ``slope`` KiB a step, give or take 1 KiB."""
    ends = {"leak_host_bytes_per_step": slope * 1024, "leak_host_low_bytes_per_step": (slope - 1) * 1024,
            "leak_host_high_bytes_per_step": (slope + 1) * 1024}  # fmt: skip
    return row(index, batch_size=2**index, leak_verdict=verdict, leak_shapes="varying", **{**ends, **values})


def frame_of(write_sweep: Write, rows: list[dict[str, object]]) -> pd.DataFrame:
    return with_identity(load_sweeps([write_sweep(rows)], report_memory.COLUMNS))


def test_the_peak_is_the_devices_where_it_counts_its_own_else_the_processs(write_sweep: Write) -> None:
    mac = {"device": "gpu", "device_recommended_max_bytes": 400 * MIB}
    rows = [cell(0, 10), row(1, peak_rss_bytes=2**30, host_total_bytes=2**32, device_total_bytes=2**32),
            cell(2, 10, **mac), cell(3, 20, status="pruned"), cell(4, 40, status="crashed")]  # fmt: skip
    told = peaks(frame_of(write_sweep, rows))
    assert told["peak_bytes"].tolist() == [200 * MIB, 2**30, 200 * MIB, 300 * MIB], (
        "a pruned cell ran, a crash says nothing"
    )
    assert told["capacity_share_ratio"].tolist() == [0.2, 0.25, 0.5, 0.3]


def test_what_a_further_item_takes_is_the_slope_over_three_batches_at_least(write_sweep: Write) -> None:
    frame = frame_of(write_sweep, [cell(i, batch) for i, batch in enumerate((1, 4, 16))])
    line = growth(peaks(frame))
    assert line.per_item_bytes.value == 10 * MIB
    assert line.fixed_bytes == 100 * MIB
    assert growth(peaks(frame.iloc[:2])).per_item_bytes.value is None


def test_what_fits_is_between_the_largest_that_ran_and_the_smallest_that_did_not(write_sweep: Write) -> None:
    rows = [cell(0, 1), cell(1, 4), cell(2, 16), cell(3, 64, status="pruned"), out_of_memory(4, 256), out_of_memory(5, 128),
            cell(6, 32, status="timeout"), out_of_memory(7, 8, precision="bf16"), cell(8, 2, precision="fp16")]  # fmt: skip
    found = {fit.name: fit for fit in fits(frame_of(write_sweep, rows))}
    assert list(found) == ["gpu, fp32", "gpu, bf16", "gpu, fp16"]
    fp32, bf16, fp16 = found.values()
    assert (fp32.largest, fp32.smallest_oom, fp32.is_contradictory) == (64, 128, False)
    assert (bf16.largest, bf16.smallest_oom, bf16.is_contradictory) == (None, 8, False)
    assert (fp16.largest, fp16.smallest_oom) == (2, None)
    assert room_for(fp32) == 90, "(1000 - 100) / 10 items"
    assert room_for(fp16) is None


@pytest.mark.parametrize(
    ("batches", "oom", "room"),
    [((1, 2, 4), None, None), ((10, 20, 30), None, 90), ((10, 20, 30), 80, None), ((30, 60, 90), None, None)],
    ids=["too far to follow a line", "within reach", "contradicted by what failed", "no further than what ran"],
)
def test_room_is_told_only_where_the_line_reaches_it(
    write_sweep: Write, batches: tuple[int, ...], oom: int | None, room: int | None
) -> None:
    rows = [cell(i, batch) for i, batch in enumerate(batches)] + ([out_of_memory(9, oom)] if oom else [])
    (fit,) = fits(frame_of(write_sweep, rows))
    assert room_for(fit) == room


def test_a_smaller_batch_that_failed_is_named_a_contradiction(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep([cell(0, 16), out_of_memory(1, 8)])
    text = states.page_of(report_memory.main, [folder], tmp_path / "page.md")
    assert "With gpu, fp32 batch **16** is the largest measured batch that fits" in text
    assert "8 did not fit although it is smaller: something else used memory" in text


def test_leaks_come_first_and_by_how_fast_they_grow(write_sweep: Write) -> None:
    rows = [
        leaking(0, "none", 0.0),
        leaking(1, "leak", 100.0),
        leaking(2, "undecided", 64.0),
        leaking(3, "leak", 900.0),
        row(4),
    ]
    cells = leaks(frame_of(write_sweep, rows))
    assert cells["trial_key"].tolist() == ["k003", "k001", "k002", "k000"]
    assert verdict_counts(cells) == {"leak": 2, "undecided": 1, "none": 1}
    assert cells["growth_bytes_per_step"].tolist()[0] == 900 * 1024


@pytest.mark.usefixtures("undrawn")
def test_the_limit_of_a_leak_is_the_one_that_the_sweep_judges_by() -> None:
    from analysis.contract.cells import LEAK_BYTES_PER_STEP
    from sweeps.measure.monitors.leak import Slope, verdict

    assert memory.LEAK_BYTES_PER_STEP == LEAK_BYTES_PER_STEP
    for low, high in ((65e3, 70e3), (66e3, 1e6), (0.0, 1e3), (-1e6, 1e6), (65e3, 66e3)):
        assert slope_verdict(low, high) == verdict([Slope(low=low, value=(low + high) / 2, high=high)])


def test_the_page_answers_what_fits_what_an_item_takes_and_what_leaks(write_sweep: Write, tmp_path: Path) -> None:
    rows = [cell(i, batch) for i, batch in enumerate((1, 4, 16, 64))] + [out_of_memory(5, 128)]
    rows += [leaking(6, "leak", 100.0), leaking(7, "undecided", 64.0)]
    text = states.page_of(report_memory.main, [write_sweep(rows)], tmp_path / "page.md")
    assert (
        "With gpu, fp32 batch **64** is the largest measured batch that fits, at 0.723 GiB, 74.0 % of the total; batch 128 did not fit."
        in text
    )
    assert "Each additional image takes 10.0 MiB with gpu, fp32." in text
    assert "**1 of 2 cells leak** more than 64 KiB per step; the worst, cpu, fp32, batch 64, grows by 100 KiB" in text
    assert "1 of 2 cells cannot be decided: the interval of the growth includes 64 KiB per step" in text
    assert "| cpu | fp32 | leak | varying | 64 | 100 | 99 to 101 |" in text.replace("100.0", "100").replace(
        "101.0", "101"
    ).replace("99.0", "99")
    assert "figures/leaks.png" in text
    assert "figures/memory" in text


def test_a_sweep_without_the_check_says_how_to_have_it(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_memory.main, [write_sweep([cell(0, 1)])], tmp_path / "page.md")
    assert "Leaks were not checked for; `--leak-check` does that." in text
    assert "## Leaks" not in text


def test_no_leak_needs_no_picture(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_memory.main, [write_sweep([leaking(0, "none", 1.0)])], tmp_path / "page.md")
    assert "No leak: memory grows by less than 64 KiB per step in every cell checked (1)." in text
    assert "leaks.png" not in text


def test_where_nothing_fits_the_page_says_so(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_memory.main, [write_sweep([out_of_memory(0, 8)])], tmp_path / "page.md")
    assert "batch 8 does not fit; no smaller batch was measured" in text.replace("Batch", "batch")


@pytest.mark.usefixtures("undrawn")
def test_more_figures_than_a_page_holds_are_counted(write_sweep: Write, tmp_path: Path) -> None:
    rows = [cell(10 * i + j, 4**j, model=f"m{i}") for i in range(14) for j in range(2)]
    text = states.page_of(report_memory.main, [write_sweep(rows)], tmp_path / "page.md")
    assert text.count("![") == 12
    assert "2 more figures left out: their numbers are in the table." in text
