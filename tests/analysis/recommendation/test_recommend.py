"""What a report recommends, on hand-made rows with known answers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.cells.identity import with_identity
from analysis.cells.rows import records
from analysis.cells.usable import usable
from analysis.contract.limits import Limits
from analysis.read.sweeps import load_sweeps
from analysis.recommendation.limits import figures, limits_of, told, within
from analysis.recommendation.recommend import (
    Task,
    best_per_precision,
    best_per_runtime,
    choices,
    may_grow,
    most_frugal,
    tasks,
)
from tests.analysis.conftest import Write, row


def machine() -> list[dict[str, Any]]:
    """A CPU and an accelerator: the accelerator is 10x the speed in fp32, and 2.5x as long in bf16."""
    return [
        row(0, device="cpu", batch_size=8, step_median_s=0.1),
        row(1, device="gpu", batch_size=8, step_median_s=0.01),
        row(2, device="gpu", batch_size=8, precision="bf16", step_median_s=0.004, energy_per_item_j=0.5, items_per_j=2.0,
            latency_p99_s=0.005, device_peak_allocated_bytes=3 * 10**9, energy_domain="gpu board"),
        row(3, device="gpu", batch_size=64, precision="bf16", step_median_s=0.04, latency_p99_s=0.05, energy_per_item_j=1.0,
            items_per_j=1.0, device_peak_allocated_bytes=9 * 10**9, energy_domain="gpu board"),
        row(4, device="gpu", batch_size=128, precision="bf16", status="oom", throughput_items_per_s=None),
    ]  # fmt: skip


@pytest.fixture
def identified(write_sweep: Write) -> Any:
    def made(rows: list[dict[str, Any]]) -> pd.DataFrame:
        return with_identity(load_sweeps([write_sweep(rows)], ["energy_domain"]))

    return made


def only(frame: pd.DataFrame) -> Task:
    found = tasks(frame)
    assert len(found) == 1
    return found[0]


def wanted(row: dict[str, Any]) -> list[str]:
    return [want.text for want in row["wants"]]


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [r["trial_key"] for r in rows]


def test_the_best_cell_of_each_device_and_what_it_gains(identified: Any) -> None:
    best = only(identified(machine())).best_per_device
    assert keys([b.row for b in best]) == ["k002", "k000"]
    assert best[0].over_fp32 is not None
    assert best[0].over_fp32.value == pytest.approx(2.5)
    assert best[0].over_fp32.low < 2.5 < best[0].over_fp32.high  # type: ignore[operator]
    assert best[0].over_cpu is not None
    assert best[0].over_cpu.value == pytest.approx(25.0)
    assert best[1].over_fp32 is None
    assert best[1].over_cpu is None


def test_cells_as_fast_as_the_fastest_are_named_whether_by_value_or_by_interval(identified: Any) -> None:
    rows = [row(0, step_median_s=0.1), row(1, batch_size=16, step_median_s=0.202), row(2, batch_size=32, step_median_s=0.48),
            row(3, batch_size=4, step_median_s=0.06, throughput_high_items_per_s=90.0)]  # fmt: skip
    (best,) = only(identified(rows)).best_per_device
    assert best.row["trial_key"] == "k000"
    assert keys(best.ranking.rivals) == ["k001", "k003"], "whose intervals reach it"
    assert best.close == []
    tight = {"throughput_low_items_per_s": 79.9, "throughput_high_items_per_s": 80.1}
    near = {"throughput_low_items_per_s": 79.1, "throughput_high_items_per_s": 79.3}
    (best,) = only(identified([rows[0] | tight, rows[1] | near, rows[2]])).best_per_device
    assert (best.ranking.is_first, keys(best.close)) == (True, ["k001"]), "within 2 %, and certainly slower"


def test_precisions_are_compared_with_fp32_on_their_own_device(identified: Any) -> None:
    found = best_per_precision(only(identified(machine())))
    assert [(r["device"], r["precision"], None if over is None else round(over.value, 6)) for r, over in found] == [
        ("cpu", "fp32", None), ("gpu", "fp32", None), ("gpu", "bf16", 2.5)]  # fmt: skip


def test_different_work_is_never_compared(identified: Any) -> None:
    rows = [row(0, scenario="offline", step_median_s=0.05), row(1, scenario="single-stream"), row(2, model="n")]
    found = tasks(identified(rows))
    assert [t.name for t in found] == ["offline, m", "single-stream, m", "single-stream, n"]
    assert [keys([b.row for b in t.best_per_device]) for t in found] == [["k000"], ["k001"], ["k002"]]


def test_machines_have_each_their_best_and_their_own_cpu(identified: Any) -> None:
    rows = [row(0, host="a", step_median_s=0.1), row(1, host="b", step_median_s=0.2),
            row(2, host="b", device="gpu", step_median_s=0.02)]  # fmt: skip
    best = only(identified(rows)).best_per_device
    assert keys([b.row for b in best]) == ["k002", "k000", "k001"]
    assert best[0].over_cpu is not None
    assert best[0].over_cpu.value == pytest.approx(10.0), "of host b, not of the faster CPU of host a"


def server(index: int, rate: float, p99_s: float, **values: Any) -> dict[str, Any]:
    return row(index) | {"scenario": "server", "rate_per_s": rate, "completed_rate_per_s": rate, "latency_p99_s": p99_s,
                         "throughput_items_per_s": rate, "step_median_s": None, "n_dropped": 0} | values  # fmt: skip


def test_servers_count_only_at_rates_that_they_keep_up_with(identified: Any) -> None:
    rows = [
        server(0, 10, 0.02, deadline_s=0.05), server(1, 20, 0.06, deadline_s=0.05), server(2, 30, 0.01, n_dropped=3),
        server(3, 40, 0.01, completed_rate_per_s=35.0), server(4, 15, 0.9, completed_rate_per_s=13.8),
    ]  # fmt: skip
    task = only(identified(rows))
    assert usable(task.cells)["trial_key"].tolist() == ["k000", "k004"]
    assert keys([b.row for b in task.best_per_device]) == ["k004"]
    assert [wanted(c) for c in choices(task)] == [["rate ≈1"]]


def test_gains_of_servers_are_told_only_of_rates_that_were_searched(identified: Any) -> None:
    asked = [server(0, 10, 0.02), server(1, 40, 0.02, precision="bf16")]
    assert only(identified(asked)).best_per_device[0].over_fp32 is None
    found = [r | {"max_rate_per_s": r["rate_per_s"], "rate_per_s": None} for r in asked]
    over = only(identified(found)).best_per_device[0].over_fp32
    assert over is not None
    assert over.value == pytest.approx(4.0)


def test_each_want_has_its_cell_and_a_cell_that_is_best_for_several_comes_once(identified: Any) -> None:
    rows = [
        row(0, batch_size=1, step_median_s=0.02, peak_rss_bytes=100), row(1, batch_size=8, step_median_s=0.1, peak_rss_bytes=200),
        row(2, batch_size=16, step_median_s=0.198, peak_rss_bytes=400, energy_per_item_j=0.1, items_per_j=10.0),
    ]  # fmt: skip
    found = choices(only(identified(rows)))
    assert [(c["trial_key"], wanted(c)) for c in found] == [
        ("k002", ["speed ≈1"]),
        ("k000", ["latency"]),
        ("k001", ["memory"]),
    ], "the energy of one cell is the most of nothing"
    rows[1] |= {"items_per_j": 9.0}
    found = choices(only(identified(rows)))
    assert [want.told for want in found[0]["wants"]] == [
        "highest throughput",
        "most images per joule of the 2 cells with an energy measurement",
    ]
    rows[0] |= {"items_per_j": 8.0}
    found = choices(only(identified(rows)))
    assert [want.told for want in found[0]["wants"]] == ["highest throughput", "most images per joule"]


def test_of_cells_that_take_as_little_memory_the_fastest_has_the_least(identified: Any) -> None:
    rows = [row(i, batch_size=8 + i, step_median_s=(8 + i) / rate, peak_rss_bytes=bytes_)
            for i, (rate, bytes_) in enumerate(((98.0, 10_000), (100.0, 10_001), (97.0, 9_999)))]  # fmt: skip
    found = choices(only(identified(rows)))
    assert [want.told for want in found[0]["wants"]] == [
        "highest throughput", "least memory within 5 % of the highest throughput"]  # fmt: skip


def test_training_is_chosen_by_what_it_reaches_and_not_by_its_step(identified: Any) -> None:
    rows = [row(i, workload="finetune", scenario=None, batch_size=8 * 2**i, accuracy_best=0.99 - 0.1 * i, n_heldout_items=500, target_accuracy=0.9,
                time_to_target_s=None if i else 20.0, energy_to_target_j=None if i else 5.0, step_median_s=0.1)
            for i in range(2)]  # fmt: skip
    found = choices(only(identified(rows)))
    assert [(c["trial_key"], wanted(c)) for c in found] == [
        ("k001", ["speed", "memory"]),
        ("k000", ["accuracy", "time to target", "energy to target"]),
    ]


def test_energy_to_the_target_is_that_of_a_round_less_or_more_and_of_one_kind_of_counter(identified: Any) -> None:
    def told(joules: float, **values: Any) -> tuple[str, str]:
        of = {"workload": "finetune", "scenario": None, "accuracy_best": 0.95, "n_heldout_items": 500, "target_accuracy": 0.9,
              "measured_s": 40.0, "n_rounds": 4, "time_to_target_s": 20.0, "energy_domain": "gpu board"}  # fmt: skip
        rows = [
            row(0, **of, energy_to_target_j=50.0),
            row(1, **of | values, step_median_s=0.2, energy_to_target_j=joules),
        ]
        return next((found["trial_key"], want.text) for found in choices(only(identified(rows))) for want in found["wants"]
                    if want.word == "energy to target")  # fmt: skip

    assert told(90.0) == ("k000", "energy to target ≈1"), "25 to 75 J, and 45 to 135 J"
    assert told(160.0) == ("k000", "energy to target")
    assert told(1.0, energy_domain="cpu package") == ("k000", "energy to target"), "other joules"


def test_energy_of_counters_that_cover_different_things_is_not_compared(identified: Any) -> None:
    rows = [row(0, device="gpu", step_median_s=0.01, items_per_j=5.0, energy_domain="gpu board"),
            row(1, device="gpu", step_median_s=0.02, items_per_j=6.0, energy_domain="gpu board"),
            row(2, device="cpu", items_per_j=9.0, energy_domain="cpu package")]  # fmt: skip
    task = only(identified(rows))
    frugal = most_frugal(task, task.best_per_device[0].row)
    assert frugal is not None
    assert frugal.row["trial_key"] == "k001"
    assert frugal.is_first


def test_a_larger_batch_is_worth_a_try_only_where_the_last_step_gained(identified: Any) -> None:
    def grown(*steps: float, **last: Any) -> float | None:
        rows = [row(i, batch_size=8 * 2**i, step_median_s=s) for i, s in enumerate(steps)]
        if last:
            rows.append(row(9, batch_size=512, throughput_items_per_s=None, **last))
        frame = identified(rows)
        return may_grow(frame, only(frame).best_per_device[0].row)

    assert grown(0.1, 0.15) == pytest.approx(16 / 0.15 / 80)
    assert grown(0.1, 0.198) is None, "1 % faster"
    assert grown(0.1, 0.3) is None, "the smaller one is the fastest"
    assert grown(0.1) is None, "no other to compare with"
    assert grown(0.1, 0.15, status="oom") is None, "a larger one does not fit"
    assert grown(0.1, 0.15, n_devices=2) == pytest.approx(16 / 0.15 / 80), "of other devices"


def test_limits_leave_only_cells_that_are_known_to_hold_them(identified: Any) -> None:
    done = only(identified(machine())).cells

    def held(**limits: float) -> list[str]:
        return within(Limits(**limits), done)["trial_key"].tolist()

    assert held(max_latency_ms=20) == ["k001", "k002"]
    assert held(max_memory_gb=5) == ["k000", "k001", "k002"]
    assert held(max_energy_j=0.7) == ["k002"]
    assert held(min_accuracy=0.1) == []
    assert held(max_latency_ms=20, max_memory_gb=2) == ["k001"]


def test_no_accuracy_at_all_is_held_by_any_that_is_known(identified: Any) -> None:
    done = only(identified(machine())).cells
    known = done.assign(accuracy_best=[0.0, *[None] * (len(done) - 1)]).astype({"accuracy_best": float})
    assert within(Limits(min_accuracy=0), known)["trial_key"].tolist() == ["k000"]
    assert within(Limits(min_accuracy=0.1), known).empty


def test_the_nearest_cell_misses_its_worst_limit_by_the_least(identified: Any) -> None:
    done = only(identified(machine())).cells
    limits = Limits(max_latency_ms=1, max_memory_gb=1)
    nearest = limits.nearest(records(done))
    assert nearest is not None
    assert nearest["trial_key"] == "k002", "5x the latency; k001 has 10 times, k003 50 times"
    assert figures(limits, nearest) == "p99 5.00 ms, 3.00 GB"
    assert Limits(min_accuracy=0.5).nearest(records(done)) is None


def test_limits_are_told_in_words() -> None:
    limits = Limits(max_latency_ms=20, max_memory_gb=8, max_energy_j=0.5, min_accuracy=0.95)
    assert told(limits) == "20 ms per step, 8 GB of memory (7.45 GiB), 0.5 J per item and at least 95 % accuracy"
    assert told(Limits()) == ""


def test_limits_of_several_sweeps_hold_only_where_all_were_asked_the_same() -> None:
    asked = {"config": {"limits": {"max_latency_ms": 5.0, "max_memory_gb": None, "min_accuracy": None}}}
    assert limits_of([asked, asked]) == Limits(max_latency_ms=5.0)
    assert limits_of([asked, {}]) == Limits()
    assert limits_of([]) == Limits()


def test_the_cpu_of_another_computer_with_the_same_host_name_is_not_compared_with(identified: Any) -> None:
    rows = [row(0, cpu_name="slow"), row(1, device="gpu", cpu_name="fast", step_median_s=0.01)]
    best = only(identified(rows)).best_per_device
    assert best[0].over_cpu is None


def test_what_runs_a_network_is_compared_with_the_best_of_pytorch_on_the_device(identified: Any) -> None:
    frame = identified([
        row(0, runtime="torch", step_median_s=0.1), row(1, runtime="torch", compile="default", step_median_s=0.05),
        row(2, runtime="openvino", step_median_s=0.04), row(3, runtime="openvino", precision="bf16", step_median_s=0.01),
        row(4, device="gpu", runtime="torch", step_median_s=0.001),
    ])  # fmt: skip
    task = only(frame)
    cpu = next(one for one in task.best_per_device if one.row["device"] == "cpu")
    assert cpu.over_torch is not None
    assert (cpu.row["trial_key"], cpu.over_torch.value) == ("k003", pytest.approx(5.0))
    found = [(r["trial_key"], over and over.value) for r, over in best_per_runtime(task)]
    assert found == [("k001", None), ("k002", pytest.approx(1.25)), ("k003", pytest.approx(5.0))], "of the gpu one only"
    assert only(identified([row(0), row(1, batch_size=2)])).best_per_device[0].over_torch is None
