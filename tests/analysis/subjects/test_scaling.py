"""Knee and crossover on hand-made rows with known answers, and the page in every state of a sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.cells.identity import with_identity
from analysis.page.command_line import run_main
from analysis.read.sweeps import load_sweeps
from analysis.stats.estimate import Figure, ratio
from analysis.subjects.scaling.crossover import FASTEST, Crossover, crossovers, last_rise
from analysis.subjects.scaling.page import main
from analysis.subjects.scaling.quantities import Curve, curves, knee
from analysis.subjects.scaling.tables import crossover_range, crossover_text
from tests.analysis.conftest import Write, row


def cells(rates: dict[int, float], first: int = 0, half: float = 0.01, **values: Any) -> list[dict[str, Any]]:
    """One row a batch size with a throughput whose interval reaches from its (1 - half)-fold to its (1 + half)-fold."""
    return [
        row(first + i, batch_size=batch, step_median_s=batch / rate, throughput_items_per_s=rate,
            throughput_low_items_per_s=rate * (1 - half), throughput_high_items_per_s=rate * (1 + half), **values)
        for i, (batch, rate) in enumerate(rates.items())
    ]  # fmt: skip


def found(rows: Sequence[dict[str, Any]], write_sweep: Write) -> list[Curve]:
    return curves(with_identity(load_sweeps([write_sweep(rows)])))


def met(rows: Sequence[dict[str, Any]], write_sweep: Write) -> list[Crossover]:
    frame = with_identity(load_sweeps([write_sweep(rows)]))
    return crossovers(curves(frame), frame)


def page(folder: Path, *arguments: str) -> str:
    assert run_main(main, [str(folder), *arguments]) == 0
    return (folder / "report_scaling.md").read_text()


def test_the_knee_is_the_smallest_batch_within_five_per_cent_of_the_best(write_sweep: Write) -> None:
    (curve,) = found(cells({1: 50, 2: 90, 4: 95.5, 8: 99, 16: 100, 32: 98}, half=0.001), write_sweep)
    at = knee(curve)
    assert at is not None
    assert (at.point.batch_size, at.low, at.high, at.is_open) == (4, 4, 4, False)
    assert curve.best.batch_size == 16


def test_the_knees_interval_holds_every_batch_that_could_be_it(write_sweep: Write) -> None:
    # Bounds are 0.95 * 97 = 92.15 for upper ends (2 reaches 92.7) and 0.95 * 103 = 97.85 for lower ends (none does
    # but 16's neighbours do not, so the best batch is the limit).
    (curve,) = found(cells({1: 50, 2: 90, 4: 96, 8: 99, 16: 100}, half=0.03), write_sweep)
    at = knee(curve)
    assert at is not None
    assert (at.low, at.point.batch_size, at.high) == (2, 4, 16)


def test_a_curve_that_still_grows_has_an_open_knee_and_one_batch_has_none(write_sweep: Write) -> None:
    grown, single = found([*cells({1: 10, 2: 20, 4: 40}), *cells({1: 5}, first=3, precision="bf16")], write_sweep)
    at = knee(grown)
    assert at is not None
    assert at.is_open
    assert at.point.batch_size == 4
    assert knee(single) is None


def test_a_ratio_takes_its_interval_from_both_intervals() -> None:
    same = ratio(Figure(value=200.0, low=160.0, high=250.0), Figure(value=100.0, low=100.0, high=100.0))
    assert (same.value, same.low, same.high) == (pytest.approx(2), pytest.approx(1.6), pytest.approx(2.5))
    both = ratio(Figure(value=1.0, low=math.exp(-0.3), high=math.exp(0.3)),
                 Figure(value=1.0, low=math.exp(-0.4), high=math.exp(0.4)))  # fmt: skip
    assert both.low == pytest.approx(math.exp(-0.5))
    assert both.high == pytest.approx(math.exp(0.5))
    assert ratio(Figure(value=1.0), Figure(value=2.0, low=1.9, high=2.1)).low is None
    assert ratio(Figure(value=None), Figure(value=2.0)).value is None


@pytest.mark.parametrize(
    ("leads", "expected"),
    [([-1, 1, 3], 2 * 2**-0.5), ([-3, -1, 1], 2 * 2**0.5), ([1, 2, 3], 0.0), ([-1, -1, -1], math.inf),
     ([1, -1, 3], 2 * 2**0.25), ([1, 1, -1], math.inf), ([-1, 0, 1], 2.0)],
)  # fmt: skip
def test_the_rise_is_interpolated_in_the_logarithm_of_the_batch(leads: list[float], expected: float) -> None:
    assert last_rise([1, 2, 4], leads) == pytest.approx(expected)


def test_the_crossover_lies_where_both_throughputs_are_equal(write_sweep: Write) -> None:
    # The ratio is 1/2, 2, 8 at batches 1, 4, 16: on logarithmic scales it is 1 at batch 2.
    rows = [*cells({1: 100, 4: 100, 16: 100}), *cells({1: 50, 4: 200, 16: 800}, first=3, device="gpu")]
    (crossing,) = met(rows, write_sweep)
    assert (crossing.device, crossing.label, crossing.smallest, crossing.largest) == ("gpu", "fp32", 1, 16)
    assert crossing.batch == pytest.approx(2)
    assert crossing.crosses
    # The ratio's ends are off by exp(hypot(log(1.01), -log(0.99))), and the lead doubles as the batch does.
    off = math.exp(math.hypot(math.log(1.01), math.log(0.99)))
    assert crossing.low == pytest.approx(2 / off, rel=1e-6)
    assert crossing.high == pytest.approx(2 * off, rel=1e-6)
    assert crossing.at_largest.value == pytest.approx(8)


def test_an_accelerator_that_always_or_never_leads_has_no_crossover_inside(write_sweep: Write) -> None:
    rows = [*cells({1: 100, 8: 100}), *cells({1: 900, 8: 900}, first=2, device="gpu"),
            *cells({1: 10, 8: 99}, first=4, device="npu")]  # fmt: skip
    always, never = met(rows, write_sweep)
    assert (always.device, always.batch, always.low, always.high) == ("gpu", 0, 0, 0)
    assert (never.device, never.batch, never.high) == ("npu", math.inf, math.inf)
    assert never.low is not None
    assert 1 < never.low < 8, "within the intervals it may lead at batch 8"


def test_each_precision_and_the_fastest_of_each_are_compared(write_sweep: Write) -> None:
    rows = [
        *cells({1: 100, 4: 100}), *cells({1: 150, 4: 150}, first=2, precision="bf16"),
        *cells({1: 50, 4: 200}, first=4, device="gpu"), *cells({1: 75, 4: 600}, first=6, device="gpu", precision="bf16"),
    ]  # fmt: skip
    crossing = {c.label: c.batch for c in met(rows, write_sweep)}
    assert crossing["fp32"] == pytest.approx(2)
    assert crossing["bf16"] == pytest.approx(4 ** (1 / 3))
    assert crossing[FASTEST] == pytest.approx(4 ** (1 / 3))


def test_machines_are_not_compared_with_each_other(write_sweep: Write) -> None:
    one = write_sweep(cells({1: 100, 4: 100}), "mac")
    two = write_sweep(cells({1: 50, 4: 200}, device="gpu", host="h2"), "work")
    frame = with_identity(load_sweeps([one, two]))
    assert [c.label for c in curves(frame)] == ["cpu, fp32, mac", "gpu, fp32, work"]
    assert crossovers(curves(frame), frame) == []


def test_sweeps_of_one_machine_are_joined_unless_they_hold_the_same_cell(write_sweep: Write) -> None:
    one, two = write_sweep(cells({1: 100, 4: 100}), "one"), write_sweep(cells({8: 50}, first=5), "two")
    (joined,) = curves(with_identity(load_sweeps([one, two])))
    assert [p.batch_size for p in joined.points] == [1, 4, 8]
    again = write_sweep(cells({1: 90, 4: 90}), "again")
    apart = curves(with_identity(load_sweeps([one, again])))
    assert [c.label for c in apart] == ["cpu, fp32, one", "cpu, fp32, again"]
    other = write_sweep(cells({8: 90}, torch_version="2.11"), "other")
    assert len(curves(with_identity(load_sweeps([one, other])))) == 2


def test_an_option_that_is_an_axis_has_lines_of_its_own(write_sweep: Write) -> None:
    rows = [*cells({1: 1, 2: 2}, options='{"codec": "plain"}'),
            *cells({1: 3, 2: 4}, first=2, options='{"codec": "packed"}')]  # fmt: skip
    assert [c.label for c in found(rows, write_sweep)] == [
        'cpu, fp32, codec "plain"', 'cpu, fp32, codec "packed"',
    ]  # fmt: skip


def test_the_page_answers_first_with_figure_and_tables(write_sweep: Write) -> None:
    rows = [*cells({1: 100, 4: 100}), *cells({1: 50, 4: 200, 16: 800, 64: 810}, first=2, device="gpu")]
    rows.append(row(9, device="gpu", batch_size=128, status="oom", throughput_items_per_s=None))
    folder = write_sweep(rows)
    text = page(folder)
    first = text.splitlines()[2]
    assert (
        "**gpu, fp32** reaches 810 images/s at batch 64, statistically indistinguishable from batch 16; batch 16 (interval 16) is within"
        in first
    )
    assert "**cpu, fp32** reaches 100 images/s at batch 1, statistically indistinguishable from batch 4." in first
    assert "gpu overtakes the CPU at **batch 2.00**, 95 % interval 1.97 to 2.03 (fp32)." in first
    assert "| gpu, fp32 | 128 | n/a | n/a | n/a | n/a | n/a | oom |" in text
    (path,) = re.findall(r"!\[[^\]]*overtakes the CPU at batch 2[^\]]*\]\(([^)]+)\)", text)
    assert (folder / path).is_file()


def test_pruned_cells_count_and_are_said_to_be(write_sweep: Write) -> None:
    rows = cells({1: 100, 4: 150})
    rows[1] |= {"status": "pruned", "pruned_at_round": 2}
    text = page(write_sweep(rows))
    assert re.search(r"\| cpu, fp32 \| 4 \| 150 .* \| pruned \|", text)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No cell is complete"),
        ([row(status="crashed", throughput_items_per_s=None)], "No cell is complete"),
        ([row()], "the only batch size measured"),
        ([row(scenario="server", step_median_s=0.1, rate_per_s=5.0)], "1 server cell is left out"),
        ([row(0, throughput_low_items_per_s=None), row(1, batch_size=16)], "is fastest at batch"),
        ([row(host="a"), row(1, host="b")], "The cells come from 2 machines"),
        ([{"schema_version": 1, "trial_key": "k"}], "No cell is complete"),
        ([row() | {"throughput_items_per_s": math.inf}], "n/a"),
    ],
    ids=["empty", "all failed", "one cell", "server", "no interval", "two machines", "nothing but a key", "infinite"],
)
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[dict[str, Any]], said: str) -> None:
    for r in rows:
        if r.get("scenario") == "server":
            r["step_median_s"] = r["step_median_low_s"] = r["step_median_high_s"] = None
    text = page(write_sweep(rows))
    assert text.startswith("# ")
    assert said in text
    assert not re.search(r"\bnan\b|None", text)


def test_an_older_schema_without_intervals_and_scenario_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "trials").mkdir(parents=True)
    rows = [{"trial_key": f"k{b}", "status": "complete", "device": "cpu", "batch_size": b,
             "throughput_items_per_s": 10.0 * b} for b in (1, 2)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "trials" / "part-0.parquet")
    text = page(folder)
    assert "is fastest at batch 2: 20.0 items/s" in text
    assert "| cpu | 2 | 20.0 | n/a | 100.0 | n/a | n/a |" in text


@pytest.mark.parametrize(
    ("low", "batch", "high", "told"),
    [(1.95, 2.0, 2.05, ("2.00", "1.95 to 2.05")), (0.0, 2.0, 5.0, ("2.00", "1 or below to 5.00")),
     (3.0, 4.0, math.inf, ("4.00", "3.00 to over 16")), (None, 2.0, None, ("2.00", "n/a")),
     (0.0, 0.0, math.inf, ("1 or below", "1 or below to over 16")),
     (math.inf, math.inf, math.inf, ("none up to 16", "over 16")), (0.0, 0.0, 0.0, ("1 or below", "1 or below"))],
)  # fmt: skip
def test_a_crossover_is_told_whatever_of_its_interval_lies_inside(
    low: float | None, batch: float, high: float | None, told: tuple[str, str]
) -> None:
    one = Figure(value=1.0)
    crossing = Crossover(task="", label="fp32", device="gpu", batch=batch, low=low, high=high, smallest=1, largest=16,
                         at_smallest=one, at_largest=one)  # fmt: skip
    assert (crossover_text(crossing), crossover_range(crossing)) == told


@pytest.mark.usefixtures("undrawn")
def test_many_tasks_are_told_in_part_and_tabulated_in_full(write_sweep: Write) -> None:
    rows = [r for i in range(14) for r in cells({1: 10, 2: 20}, first=2 * i, model=f"m{i}")]
    text = page(write_sweep(rows))
    assert "2 more like these are in the tables." in text
    assert "2 more figures left out: their numbers are in the table." in text
    assert "| m13, cpu, fp32 | 2 |" in text
