"""Latency on hand-made cells and samples with known answers, and the page in every state of a sweep."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.cells.identity import with_identity
from analysis.cells.rows import complete, records
from analysis.contract.limits import Limits
from analysis.read.sweeps import find_sweeps, load_sweeps
from analysis.stats.quantiles import cluster_sizes, quantile_interval
from analysis.subjects.latency import page as report_latency
from analysis.subjects.latency.figures import MAX_LINES, nines, percentile_lines, transfers_shown
from analysis.subjects.latency.over_rate import LOAD, TRIED, rate_lines
from analysis.subjects.latency.quantities import (
    deadlines_s,
    held_rates,
    load_cells,
    load_curves,
    lowest_tails,
    rates_at,
    timed,
)
from analysis.subjects.latency.tails import tail_intervals
from analysis.subjects.latency.transfers import bandwidths, transfers
from analysis.subjects.latency.tried import tried_rates
from tests.analysis import states
from tests.analysis.conftest import Write, row
from tests.analysis.made_up import accelerator, server

COLUMNS = [*report_latency.COLUMNS, *report_latency.COPY_COLUMNS]


def frame_of(write_sweep: Write, rows: list[dict[str, object]]) -> pd.DataFrame:
    return with_identity(load_sweeps([write_sweep(rows)], COLUMNS))


def test_the_interval_of_a_quantile_is_of_order_statistics() -> None:
    values = np.arange(1000, dtype=np.float64)
    low, high = quantile_interval(values, 0.99)
    assert low is not None
    assert high is not None
    # The ranks whose coverage by the binomial is at least 95 %, and not a rank less.
    below = stats.binom.cdf([high - 1, low - 1], 1000, 0.99)
    assert below[0] - below[1] >= 0.95
    assert low < 989 < high
    assert quantile_interval(np.arange(100, dtype=np.float64), 0.99)[1] is None, "no sample lies that high"


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, truth = np.random.default_rng(1), -np.log(0.1)
    hits = 0
    for _ in range(400):
        low, high = quantile_interval(rng.exponential(size=300), 0.9)
        assert low is not None
        assert high is not None
        hits += low <= truth <= high
    assert hits / 400 >= 0.93


def test_samples_that_come_in_clumps_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    alone = rng.exponential(size=1000)
    clumped = np.sort(alone)
    sizes = cluster_sizes(np.zeros(1000, dtype=np.int64))
    assert len(sizes) == 20
    narrow, wide = quantile_interval(alone, 0.9, sizes), quantile_interval(clumped, 0.9, sizes)
    assert narrow[0] is not None
    assert wide[0] is None or wide[0] < narrow[0], "an end may lie beyond the samples"
    assert cluster_sizes(np.array([0, 0, 0, 1, 2])) == [3, 1, 1], "rounds are the clusters where there are several"


def test_rounds_that_resemble_their_neighbours_widen_the_interval() -> None:
    rng, n_rounds, n_samples = np.random.default_rng(3), 40, 30
    level = np.cumsum(rng.normal(size=n_rounds))
    rounds = np.exp(0.05 * level)[:, None] * rng.lognormal(0, 0.02, (n_rounds, n_samples))
    sizes = [n_samples] * n_rounds
    in_turn = quantile_interval(rounds.ravel(), 0.9, sizes)
    shuffled = quantile_interval(rng.permutation(rounds).ravel(), 0.9, sizes)
    assert in_turn[0] is not None
    assert shuffled[0] is not None
    assert in_turn[0] < shuffled[0], "the same rounds in an order that tells of no drift leave a narrower interval"


@pytest.mark.parametrize(("share", "n", "sizes"), [(0.0, 9, ()), (1.0, 9, ()), (0.5, 0, ()), (0.5, 9, (4, 4))])
def test_a_quantile_needs_samples_a_share_and_clusters_that_add_up(
    share: float, n: int, sizes: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="got"):
        quantile_interval(np.ones(n), share, sizes)


def test_intervals_are_of_the_measured_samples_of_each_cell(write_sweep: Write) -> None:
    def samples(key: str, phase: str, scale: float) -> list[dict[str, object]]:
        return [{"trial_key": key, "phase": phase, "round": i // 500, "index": i % 500, "seconds": scale * (i % 500)}
                for i in range(1000)]  # fmt: skip

    rows = [row(0, latency_p99_s=0.494, n_samples=1000), row(1, batch_size=2, latency_p99_s=4.94, n_samples=1000)]
    content = [*samples("k000", "measure", 1e-3), *samples("k001", "measure", 1e-2), *samples("k000", "warmup", 1e3)]
    folder = write_sweep(rows, samples=content)
    found = tail_intervals(load_sweeps([folder]), find_sweeps([folder]))
    assert found["trial_key"].tolist() == ["k000", "k001"]
    assert 0.48 < found["tail_low_s"][0] <= 0.494 <= found["tail_high_s"][0] < 0.5
    assert found["tail_low_s"][1] == pytest.approx(10 * found["tail_low_s"][0])
    only_one = tail_intervals(load_sweeps([folder]).iloc[:1], find_sweeps([folder]))
    assert only_one["trial_key"].tolist() == ["k000"]


def test_of_steps_timed_several_at_a_time_the_interval_is_of_the_single_ones(write_sweep: Write) -> None:
    rows = [row(0, latency_p99_s=0.99, n_samples=50, steps_per_sample=8, n_latency_samples=1000)]
    content = [{"trial_key": "k000", "phase": phase, "round": 0, "index": i, "seconds": s}
               for phase, n, s in (("measure", 50, 1e-5), ("single", 1000, 0.99)) for i in range(n)]  # fmt: skip
    folder = write_sweep(rows, samples=content)
    found = tail_intervals(load_sweeps([folder]), find_sweeps([folder]))
    assert found[["tail_low_s", "tail_high_s"]].to_numpy().tolist() == [[0.99, 0.99]]


def test_the_lowest_tail_is_by_the_highest_percentile_known(write_sweep: Write) -> None:
    rows = [row(0, latency_p50_s=0.1, latency_p90_s=0.2), row(1, batch_size=2, latency_p50_s=0.2, latency_p90_s=0.15),
            row(2, batch_size=4, latency_p50_s=0.01), row(3, device="gpu", latency_p50_s=0.01, latency_p90_s=0.02)]  # fmt: skip
    found = lowest_tails(timed(frame_of(write_sweep, rows)))
    assert [(tail, cell["trial_key"]) for _, tail, _, cell in found] == [("p90", "k003"), ("p90", "k001")]


def test_cells_of_several_steps_a_sample_have_no_latency_to_tell(write_sweep: Write) -> None:
    rows = [row(0, steps_per_sample=4, scenario="offline"), row(1, steps_per_sample=1), row(2, status="error")]
    assert timed(frame_of(write_sweep, rows))["trial_key"].tolist() == ["k001"]


def test_a_server_that_completes_less_than_arrives_is_overloaded(write_sweep: Write) -> None:
    rows = [server(0, 10.0, 0.02), server(1, 20.0, 0.9, completed=17.0, n_missed=500, n_dropped=100)]
    cells = load_cells(frame_of(write_sweep, rows))
    assert cells["is_saturated"].tolist() == [False, True]
    assert cells["missed_ratio"].tolist() == [0.01, 0.5]
    assert cells["dropped_ratio"].tolist() == [0.0, 0.1]


def test_load_curves_are_in_the_order_of_rates_and_take_two(write_sweep: Write) -> None:
    rows = [server(0, 20.0, 0.04), server(1, 5.0, 0.01), server(2, 10.0, 0.02, batch_size=4),
            server(3, 9.0, 0.03, rate_per_s=None, max_rate_per_s=12.5)]  # fmt: skip
    (curve,) = load_curves(frame_of(write_sweep, rows))
    assert curve.cells["offered_per_s"].tolist() == [5.0, 12.5, 20.0], "a search counts at the rate it found"


def test_the_rate_that_holds_a_deadline_lies_below_the_first_that_fails(write_sweep: Write) -> None:
    rows = [server(0, 5.0, 0.02), server(1, 10.0, 0.05, completed=9.5), server(2, 20.0, 0.06), server(3, 40.0, 0.9),
            server(4, 2.0, 0.2, batch_size=8), server(5, 3.0, 0.01, deadline_s=None, batch_size=16)]  # fmt: skip
    held = held_rates(frame_of(write_sweep, rows))
    assert held["batch_size"].tolist() == [1, 8]
    assert held["held_per_s"].fillna(-1).tolist() == [10.0, -1]
    assert held["held_items_per_s"].tolist()[0] == 9.5
    assert held["failed_per_s"].tolist() == [20.0, 2.0]


def test_items_per_second_at_a_deadline_are_the_most_that_are_known_to_hold_it(write_sweep: Write) -> None:
    rows = [accelerator(0, 1, "fp32", ) | {"latency_p99_s": 0.01, "throughput_items_per_s": 100.0},
            accelerator(1, 4, "fp32") | {"latency_p99_s": 0.03, "throughput_items_per_s": 200.0},
            accelerator(2, 16, "fp32") | {"latency_p99_s": None, "throughput_items_per_s": 900.0},
            accelerator(3, 1, "bf16") | {"latency_p99_s": None}]  # fmt: skip
    (_, best), (_, other) = rates_at(complete(frame_of(write_sweep, rows)), [0.001, 0.01, 0.05])
    assert best[0] is None, "the median step of batch 16 is over it too"
    assert [cell["batch_size"] for cell in best[1:] if cell] == [16, 16], "known by its median step, as in every limit"
    assert other[1] is not None
    held = [Limits(max_latency_ms=limit).held(cell) for limit in (1.0, 10.0, 50.0) for cell in rows[:3]]
    assert held == [False, False, False, True, False, True, True, True, True], "the report means the same"


def test_deadlines_are_those_asked_for_and_the_periods_of_frame_rates(write_sweep: Write) -> None:
    told = deadlines_s(frame_of(write_sweep, [server(0, 5.0, 0.02, deadline_s=0.04), row(1)]))
    assert told == pytest.approx([0.01, 1 / 60, 1 / 30, 0.04, 0.05, 0.1], abs=1e-6)


def test_percentiles_lie_on_an_axis_of_nines_and_only_where_known(write_sweep: Write) -> None:
    assert [nines(s) for s in (0.9, 0.99, 0.999)] == pytest.approx([1, 2, 3])
    rows = [row(0, latency_p50_s=0.1, latency_p90_s=0.2), row(1, batch_size=2, latency_p50_s=0.3)]
    lines, n = percentile_lines(frame_of(write_sweep, rows))
    assert n == 1, "one point is no line"
    assert lines[0].x == pytest.approx([nines(0.5), 1])
    assert [figure.value for figure in lines[0].y] == [0.1, 0.2]


def test_of_many_cells_the_smallest_and_the_largest_batch_are_drawn(write_sweep: Write) -> None:
    rows = [row(i, batch_size=2**i, latency_p50_s=0.1, latency_p90_s=0.2) for i in range(12)]
    lines, n = percentile_lines(frame_of(write_sweep, rows))
    assert n == 12
    assert [line.label for line in lines] == ["cpu, fp32, batch 1", "cpu, fp32, batch 2048"]


def test_of_many_ways_the_quickest_are_drawn_in_the_order_of_the_grid(write_sweep: Write) -> None:
    slow = [row(i, memory_format=f"f{i}", latency_p50_s=0.9, latency_p90_s=1.0) for i in range(8)]
    quick = [row(8 + i, memory_format=f"q{i}", latency_p50_s=0.3 - 0.1 * i, latency_p90_s=0.4) for i in range(2)]
    lines, n = percentile_lines(frame_of(write_sweep, [*slow, *quick]))
    assert n == 10
    assert [line.label for line in lines][-2:] == ["cpu, fp32, q0", "cpu, fp32, q1"]
    assert len(lines) == MAX_LINES


def test_copies_are_told_once_for_each_setting_with_what_overlapping_gains(write_sweep: Write) -> None:
    times = {"copy_in_s": 0.003, "compute_s": 0.006, "copy_out_s": 0.001, "overlapped_step_s": 0.005}
    rows = [row(0, device="gpu", **times), row(1, device="gpu", scenario="server", rate_per_s=5.0, **times), row(2)]
    told = transfers(frame_of(write_sweep, rows))
    assert told["trial_key"].tolist() == ["k000"]
    assert told["serial_step_s"].tolist() == pytest.approx([0.01])
    assert told["overlap_speedup"].tolist() == pytest.approx([2.0])


def test_bandwidths_are_the_median_over_the_workers_of_a_device(write_sweep: Write) -> None:
    rows = [row(i, device="gpu", h2d_pageable_bytes_per_s=v) for i, v in enumerate((1e9, 5e9, 3e9))] + [row(9)]
    told = bandwidths(frame_of(write_sweep, rows))
    assert told["device"].tolist() == ["gpu"]
    assert told["h2d_pageable_bytes_per_s"].tolist() == [3e9]


def test_the_page_answers_at_a_deadline_under_load_and_with_copies(write_sweep: Write, tmp_path: Path) -> None:
    rows = [
        server(0, 5.0, 0.02),
        server(1, 10.0, 0.045),
        server(2, 20.0, 0.2, completed=11.0),
        accelerator(3, 16, "bf16"),
    ]
    text = states.page_of(report_latency.main, [write_sweep(rows)], tmp_path / "page.md")
    assert (
        "With gpu, fp32 the p99 is 20.0 ms at 5 requests/s and 45.0 ms at 10 requests/s; the queue grows without bound at 20 requests/s."
        in text
    )
    assert (
        "At a deadline of 50 ms, gpu, fp32, batch 1 sustains **10 requests/s**, 10.0 images/s, with a p99 of 45.0 ms; 20 requests/s is too much."
        in text
    )
    assert "atency on gpu: **gpu, bf16, batch 16**, p99 of 3.44 ms, median 2.65 ms" in text
    assert (
        "copies take up to 32.1 % of a step, with gpu, bf16, batch 16; with copies overlapped, a step runs at 1.42x the speed."
        in text
    )
    assert "6.88x the speed of those from pageable memory (55.0 against 8.00 GB/s)" in text
    assert "within 16.7 ms (60 Hz)" in text
    assert "figures/load-percentiles-server.png" in text
    assert "figures/transfers-gpu.png" in text


def test_where_a_faster_cell_has_no_tail_none_is_called_the_lowest(write_sweep: Write, tmp_path: Path) -> None:
    rows = [row(0, batch_size=64, step_median_s=0.2e-3, latency_p50_s=0.2e-3, latency_p99_s=0.3e-3, n_samples=900),
            row(1, batch_size=1, step_median_s=0.05e-3, steps_per_sample=4),
            row(2, batch_size=2, step_median_s=0.06e-3, steps_per_sample=4)]  # fmt: skip
    text = states.page_of(report_latency.main, [write_sweep(rows)], tmp_path / "page.md")
    assert ("On cpu **cpu, fp32, batch 1** has a median of 0.0500 ms, the shortest, but no p99; of the 1 of 3 cells with"
            " a p99, the lowest is **cpu, fp32, batch 64**, p99 of 0.300 ms, median 0.200 ms.") in text  # fmt: skip
    assert "Lowest" not in text, "the others' tails may be lower"


def test_of_more_copies_than_bars_the_fastest_of_each_batch_size_are_drawn_and_counted(
    write_sweep: Write, tmp_path: Path
) -> None:
    rows = [
        row(100 * i + j, device="cuda", precision=p, memory_format=f, compile=c, batch_size=size, copy_in_s=0.001,
            compute_s=0.002 if (p, c) == ("fp16", "reduce-overhead") else 0.009, copy_out_s=0.001,
            overlapped_step_s=0.003, copy_share_ratio=0.2)
        for i, (p, f, c) in enumerate(itertools.product(
            ("fp32", "fp16"), ("contiguous", "channels_last"), ("none", "reduce-overhead")))
        for j, size in enumerate((1, 8, 64, 512))
    ]  # fmt: skip
    cells = transfers(frame_of(write_sweep, rows))
    shown = transfers_shown(cells)
    assert sorted(shown["batch_size"]) == [1, 8, 64, 512]
    assert set(shown["precision"]) == {"fp16"}
    assert transfers_shown(shown) is shown
    text = states.page_of(report_latency.main, [write_sweep(rows)], tmp_path / "page.md")
    assert "for each task and batch size, the cell with the highest throughput (4 of 32 cells)" in text


def test_percentiles_that_take_more_samples_are_null_beside_their_number(write_sweep: Write, tmp_path: Path) -> None:
    rows = [row(0, latency_p50_s=0.1, latency_p90_s=0.11, n_samples=100), row(1, batch_size=16, n_samples=7)]
    text = states.page_of(report_latency.main, [write_sweep(rows)], tmp_path / "page.md")
    assert "cpu | fp32 | 8 | 100 | 100 | 110 |" in text
    assert "cpu | fp32 | 16 | 7 | n/a | n/a |" in text
    assert "p99 from 662" in text
    assert "No cell has a 99th percentile of its steps: it needs 662 samples." in text


def test_the_rates_that_a_search_tried_are_a_table_a_curve_and_a_sentence(write_sweep: Write, tmp_path: Path) -> None:
    found = server(0, 50.0, 0.04, max_rate_per_s=50.0, latency_p99_high_s=0.048, rate_search_s=81.4)
    found["rate_per_s"] = None
    tried = [(35.0, 0.02, 0.022, True), (52.0, 0.056, 0.049, False), (50.0, 0.04, 0.048, True)]
    rounds = [{"trial_key": "k000", "round": i, "rate_per_s": rate, "n_requests": 2000, "latency_p99_s": seen,
               "latency_p99_high_s": bound, "held": held} for i, (rate, seen, bound, held) in enumerate(tried)]  # fmt: skip
    folder = write_sweep([found], rounds=rounds)
    text = states.page_of(report_latency.main, [folder], tmp_path / "page.md")
    assert "sustains **50 requests/s**" in text
    assert "with a p99 of 40.0 ms, at most 48.0 ms with 99 % confidence; found in 81 s of requests" in text
    assert "### Rates tried" in text
    assert [line.split("|")[-2].strip() for line in text.split("### Rates tried")[1].splitlines() if "2,000" in line] == [
        "yes", "no", "yes",
    ]  # fmt: skip
    assert list((tmp_path / "figures").rglob("rates-tried*.png"))


def test_other_percentiles_than_the_p99_are_those_of_the_rate_that_is_told(write_sweep: Write) -> None:
    searched = frame_of(write_sweep, [server(0, 10.0, 0.02, rate_per_s=None, max_rate_per_s=10.0, latency_p50_s=0.004)])
    rounds = pd.DataFrame({
        "sweep": searched["sweep"].iloc[0], "trial_key": searched["trial_key"].iloc[0], "rate_per_s": [8.0, 12.0, 10.0],
        "n_requests": 700, "latency_p99_s": [0.01, 0.09, 0.02], "latency_p99_high_s": [0.02, 0.2, 0.03],
        "held": [True, False, True],
    })  # fmt: skip
    for told, expected in ((10.0, [None, None, 0.004]), (None, [0.004, None, None])):
        tried = tried_rates(searched.assign(max_rate_per_s=told), rounds)
        assert tried["latency_p99_s"].tolist() == [0.01, 0.09, 0.02]
        assert [None if v != v else v for v in tried["latency_p50_s"]] == expected


def test_a_curve_alone_has_all_its_percentiles_and_each_of_several_a_figure_of_them(
    write_sweep: Write, tmp_path: Path
) -> None:
    rows = [server(10 * i + j, rate, 0.02 * (j + 1), batch_size=batch) for i, batch in enumerate((1, 4))
            for j, rate in enumerate((5.0, 10.0))]  # fmt: skip
    curves = load_curves(frame_of(write_sweep, rows))
    assert [line.label for line in rate_lines(curves, LOAD)] == ["gpu, fp32, batch 1", "gpu, fp32, batch 4"]
    assert [line.label for line in rate_lines(curves[:1], LOAD)] == ["p99", "p95", "p90", "p50"]
    assert [line.label for line in rate_lines(curves[:1], TRIED)] == ["p99", "p95", "p90", "p50"], "no bound is known"
    text = states.page_of(report_latency.main, [write_sweep(rows)], tmp_path / "page.md")
    drawn = re.findall(r"figures/(load-percentiles[^)]*)", text)
    assert drawn == [f"load-percentiles{of}.png" for of in ("", "-gpu-fp32-batch-1", "-gpu-fp32-batch-4")]


def test_a_rate_whose_upper_bound_is_over_the_deadline_does_not_hold_it(write_sweep: Write) -> None:
    rows = [server(0, 5.0, 0.02, latency_p99_high_s=0.03),
            server(1, 10.0, 0.04, latency_p99_high_s=0.06)]  # fmt: skip
    (held,) = records(held_rates(frame_of(write_sweep, rows)))
    assert (held["held_per_s"], held["failed_per_s"]) == (5.0, 10.0)


def test_where_no_rate_holds_the_lowest_tried_is_named(write_sweep: Write, tmp_path: Path) -> None:
    text = states.page_of(report_latency.main, [write_sweep([server(0, 5.0, 0.2)])], tmp_path / "page.md")
    assert "At a deadline of 50 ms gpu, fp32, batch 1 sustained none of the rates tried, not even 5 requests/s." in text
    assert "gpu | fp32 | 1 | 50.0 | none | 5.00 |" in text


def test_several_sweeps_make_one_page_and_a_parquet_file_needs_no_samples(write_sweep: Write, tmp_path: Path) -> None:
    one = write_sweep([server(0, 5.0, 0.02), server(1, 10.0, 0.04)], name="one")
    two = write_sweep([server(0, 5.0, 0.01, host="h2"), server(1, 10.0, 0.03, host="h2")], name="two")
    text = states.page_of(report_latency.main, [one, two / "trials" / "part-0.parquet"], tmp_path / "page.md")
    states.check_sensible(text)
    assert "With one, gpu, fp32 the p99 is 20.0 ms" in text
    assert "With part-0, gpu, fp32 the p99 is 10.0 ms" in text
