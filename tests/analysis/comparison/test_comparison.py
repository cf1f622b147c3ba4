"""Matched cells of hand-made sides with known answers: ratios, verdicts, geometric means, costs, outcomes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.cells.matching import Side, differences, key_columns, split
from analysis.comparison.answer import regression
from analysis.comparison.comparison import Comparison, compare, most_telling
from analysis.comparison.timings import Timings, items_per_sample
from tests.analysis.conftest import row

SEED_OF_NOISE = 7


def samples_of(
    key: str, step_s: float, *, spread: float = 0.01, between: float = 0.004, n_rounds: int = 6, n: int = 25, seed: int = 0,
    sweep_id: str = "s",
) -> pd.DataFrame:  # fmt: skip
    """Lognormal steps around ``step_s`` in rounds that differ by ``between``."""
    rng = np.random.default_rng([SEED_OF_NOISE, seed])
    level = np.repeat(rng.normal(0, between, n_rounds), n)
    seconds = step_s * np.exp(level + rng.normal(0, spread, n_rounds * n))
    rounds = np.repeat(np.arange(n_rounds), n)
    return pd.DataFrame({"trial_key": key, "sweep_id": sweep_id, "round": rounds, "seconds": seconds})


def side(
    label: str, steps: Sequence[float], *, rows: Sequence[dict[str, Any]] = (), seed: int = 0, **noise: Any
) -> Side:
    """Cells of batch sizes 1, 2, 4, ... that take these steps; ``rows`` change them one by one."""
    made, samples = [], []
    for i, step in enumerate(steps):
        changes = rows[i] if i < len(rows) else {}
        made.append(row(i, **{"batch_size": 2**i, "step_median_s": step} | changes))
        samples.append(samples_of(f"k{i:03d}", step, seed=1000 * seed + i, **noise))
    return Side(label=label, trials=pd.DataFrame(made), samples=pd.concat(samples, ignore_index=True))


def test_ratios_cover_what_was_planted_and_only_what_is_large_and_certain_is_faster_or_slower() -> None:
    planted = [ratio for ratio in (1.5, 0.8, 1.0, 1.03) for _ in range(8)]
    comparison = compare([side("old", [0.1] * 32), side("new", [0.1 / r for r in planted], seed=1)])
    cells = comparison.cells.assign(planted=planted)
    assert cells["batch_size"].tolist() == [2**i for i in range(32)]
    assert cells["ratio"].tolist() == pytest.approx(planted, rel=0.01)
    assert ((cells["ratio_low"] < planted) & (planted < cells["ratio_high"])).mean() > 0.85, (
        "95 % of them in the long run"
    )
    assert cells.groupby("planted")["verdict"].unique().map(list).to_dict() == {
        1.5: ["faster"], 0.8: ["slower"], 1.0: ["same"], 1.03: ["same"],
    }  # fmt: skip
    assert (cells.loc[cells["planted"] == 1.03, "p"] < 0.002).any(), "3 % can be certain, and are of no interest"
    assert cells["baseline_s"][2] == pytest.approx(0.1 / 4, rel=0.01), "seconds per item of a batch of 4"
    assert regression(comparison, "a")


def test_a_large_difference_that_is_not_certain_is_unclear() -> None:
    noise = {"between": 0.15, "n_rounds": 3}
    (cell,) = compare([side("a", [0.1], **noise), side("b", [0.08], seed=5, **noise)]).cells.to_dict("records")
    assert cell["ratio"] > 1.05
    assert cell["p"] > 0.002
    assert cell["verdict"] == "unclear"


def test_p_is_corrected_for_the_number_of_cells_of_all_sides() -> None:
    noise = {"between": 0.02}
    one = compare([side("a", [0.1], **noise), side("b", [0.09], seed=1, **noise)]).cells["p"][0]
    many = [
        side("a", [0.1] * 40, **noise),
        *(side(n, [0.09] + [0.1] * 39, seed=s, **noise) for n, s in (("b", 1), ("c", 2))),
    ]
    corrected = compare(many).cells
    assert len(corrected) == 80
    assert corrected["p"][0] == pytest.approx(80 * one, rel=0.05), "Holm: the smallest p times the number of tests"
    assert (corrected["verdict"] != "slower").all()


def test_forty_equal_cells_are_never_called_faster_or_slower() -> None:
    cells = compare([side("a", [0.1] * 40, between=0.03), side("b", [0.1] * 40, seed=3, between=0.03)]).cells
    assert not cells["verdict"].isin(["faster", "slower"]).any()


def test_the_geometric_mean_of_twice_and_half_is_one_and_its_interval_says_so() -> None:
    comparison = compare([side("a", [0.1, 0.1, 0.1]), side("b", [0.05, 0.2, 0.1], seed=1)])
    (mean,) = comparison.sides.to_dict("records")
    assert (mean["n_cells"], mean["faster"], mean["slower"], mean["same"], mean["unclear"]) == (3, 1, 1, 1, 0)
    assert mean["ratio"] == pytest.approx(1, abs=0.01)
    assert mean["ratio_low"] < 1 < mean["ratio_high"]
    assert mean["ratio"] == pytest.approx(math.prod(comparison.cells["ratio"]) ** (1 / 3))
    widest = (comparison.cells["ratio_high"] / comparison.cells["ratio_low"]).max()
    assert mean["ratio_high"] / mean["ratio_low"] < widest, "three cells know more than one"


def test_each_side_of_three_is_compared_with_the_first() -> None:
    found = compare([side("a", [0.1]), side("b", [0.2], seed=1), side("c", [0.05], seed=2)])
    assert found.cells["side"].tolist() == ["b", "c"]
    assert found.cells["verdict"].tolist() == ["slower", "faster"]
    assert found.sides.set_index("side")["ratio"].to_dict() == pytest.approx({"b": 0.5, "c": 2.0}, rel=0.01)
    with pytest.raises(ValueError, match="two sides or more, got 1"):
        compare([side("a", [0.1])])


def test_the_cells_furthest_from_one_are_told_certain_ones_first_in_their_own_order() -> None:
    verdicts, found = ["same", "faster", "unclear", "slower", "faster"], [1.01, 2.0, 9.0, 0.25, 1.5]
    assert most_telling(verdicts, found, 3) == [1, 3, 4]
    assert most_telling(verdicts, found, 4) == [1, 2, 3, 4], "then those that are not certain"
    assert most_telling(verdicts, found, 30) == [0, 1, 2, 3, 4]


def test_equal_rows_give_equal_numbers() -> None:
    def run() -> Comparison:
        return compare([side("a", [0.1, 0.2]), side("b", [0.11, 0.2], seed=1)])

    pd.testing.assert_frame_equal(run().cells, run().cells)
    pd.testing.assert_frame_equal(run().sides, run().sides)


def joined(label: str, runs: Sequence[float], n_rounds: int = 6) -> Side:
    """One cell that was measured in several sweeps."""
    trials = pd.DataFrame([row(0, sweep_id=f"s{i}", step_median_s=step) for i, step in enumerate(runs)])
    samples = [samples_of("k000", step, sweep_id=f"s{i}", seed=i, n_rounds=n_rounds) for i, step in enumerate(runs)]
    return Side(label=label, trials=trials, samples=pd.concat(samples, ignore_index=True))


def test_of_three_sweeps_the_interval_holds_what_differs_from_one_to_the_next() -> None:
    (one,) = compare([joined("a", [0.1]), joined("b", [0.09])]).cells.to_dict("records")
    (two,) = compare([joined("a", [0.1, 0.11]), joined("b", [0.09, 0.1])]).cells.to_dict("records")
    (three,) = compare([joined("a", [0.1, 0.11, 0.12]), joined("b", [0.09, 0.1, 0.11])]).cells.to_dict("records")
    assert (one["n_rounds"], two["n_rounds"], three["n_rounds"]) == (6, 12, 3), "blocks: rounds, rounds of both, sweeps"
    assert one["verdict"] == "faster"
    assert three["verdict"] == "unclear", "sweeps differ by as much as the sides do"
    assert three["ratio_low"] < 1 < three["ratio"] < three["ratio_high"]


def test_without_samples_a_ratio_has_neither_interval_nor_verdict() -> None:
    a, b = side("a", [0.1, 0.1]), side("b", [0.05, 0.1], seed=1)
    bare = Side(label="b", trials=b.trials, samples=b.samples[b.samples["trial_key"] != "k001"])
    first, second = compare([a, bare]).cells.to_dict("records")
    assert second["ratio"] == pytest.approx(1, rel=0.01)
    assert (second["verdict"], second["n_rounds"]) == ("unclear", 0)
    assert math.isnan(second["ratio_low"])
    assert math.isnan(second["p"])
    assert first["p"] == pytest.approx(compare([a, b]).cells["p"][0] / 2), "what cannot be tested is not corrected for"
    unknown = compare([a, Side(label="b", trials=b.trials.assign(step_median_s=None), samples=bare.samples)])
    assert math.isnan(unknown.cells["ratio"][1])
    assert unknown.sides["n_cells"].tolist() == [1]


def test_two_rounds_give_a_ratio_and_no_interval() -> None:
    (cell,) = compare([side("a", [0.1], n_rounds=2), side("b", [0.05], n_rounds=9)]).cells.to_dict("records")
    assert cell["ratio"] == pytest.approx(2, rel=0.01)
    assert cell["n_rounds"] == 2
    assert math.isnan(cell["ratio_low"])
    assert cell["verdict"] == "unclear"


def test_samples_that_are_unusable_are_left_out() -> None:
    samples = pd.DataFrame(
        {"trial_key": "k000", "sweep_id": "s", "round": [0, 0, 1, 1], "seconds": [0.1, 0.0, np.nan, 0.3]}
    )
    blocks = Timings(Side(label="a", trials=pd.DataFrame([row(0, batch_size=1)]), samples=samples)).blocks([0])
    assert blocks is not None
    assert blocks.values.tolist() == [0.1, 0.3]


def test_a_sample_of_several_steps_or_of_a_request_stands_for_its_items() -> None:
    assert items_per_sample(row(batch_size=8)) == 8
    assert items_per_sample(row(batch_size=8, steps_per_sample=10)) == 80
    assert items_per_sample(row(batch_size=8, items_per_step=64)) == 64
    assert items_per_sample(row(batch_size=8, scenario="server")) == 1
    assert items_per_sample({"steps_per_sample": None}) == 1


def test_energy_and_memory_are_compared_only_where_both_were_counted_alike() -> None:
    def costs(ours: dict[str, Any], theirs: dict[str, Any], across: Sequence[str] = ()) -> tuple[float, float]:
        cells = compare([side("a", [0.1], rows=[ours]), side("b", [0.1], rows=[theirs])], across=across).cells
        return cells["energy_ratio"][0], cells["memory_ratio"][0]

    board = {"energy_per_item_j": 2.0, "energy_domain": "gpu board", "device_peak_allocated_bytes": 100.0}
    assert costs(board, board | {"energy_per_item_j": 1.0, "device_peak_allocated_bytes": 300.0}) == (0.5, 3.0)
    soc = board | {"energy_domain": "soc", "energy_per_item_j": 0.5}
    assert math.isnan(costs(board, soc)[0])
    assert costs(board, soc, ["energy_domain"])[0] == 0.25
    process = {"peak_rss_bytes": 500.0}
    assert costs(process, {"peak_rss_bytes": 250.0})[1] == 0.5
    assert math.isnan(costs(process, board)[1]), "a process's memory holds the libraries too"


def test_what_completed_on_one_side_only_is_told_and_what_was_lost_is_a_regression() -> None:
    failed = {"status": "oom", "status_reason": None, "error_type": "OutOfMemoryError"}
    whole, lost = side("a", [0.1, 0.1]), side("b", [0.1, 0.1], rows=[{}, failed])
    found = compare([whole, lost])
    assert found.cells["batch_size"].tolist() == [1]
    assert found.outcomes[["batch_size", "side", "baseline_status", "other_status", "reason"]].values.tolist() == [
        [2, "b", "complete", "oom", "OutOfMemoryError"]
    ]
    assert regression(found, "a")
    gained = compare([lost, whole])
    assert gained.outcomes[["side", "baseline_status", "other_status"]].values.tolist() == [["a", "oom", "complete"]]
    assert not regression(gained, "a")
    absent = compare([whole, side("c", [0.1])])
    assert absent.outcomes.empty, "what was not asked for was not lost"
    retried = Side(label="b", trials=pd.concat([lost.trials, whole.trials.iloc[1:]]), samples=lost.samples)
    assert compare([whole, retried]).outcomes.empty, "it completed in another sweep"


def options(**values: Any) -> dict[str, Any]:
    return {"options": json.dumps(values)}


def test_an_option_with_several_values_is_an_axis_and_with_one_a_fact_of_the_work() -> None:
    axis = side("a", [0.1, 0.1], rows=[options(size=32) | {"batch_size": 1}, options(size=64) | {"batch_size": 1}])
    key = key_columns([axis, axis])
    assert key[-1] == "option size"
    assert len(compare([axis, axis]).cells) == 2
    plain, other = side("a", [0.1], rows=[options(size=32)]), side("b", [0.1], rows=[options(size=64)])
    (found,) = compare([plain, other]).differences
    assert (found.column, found.baseline_value, found.other_value, found.n_cells) == ("option size", "32", "64", 1)
    assert not found.is_unknown
    assert compare([plain, other], across=["size"]).differences == []


def test_input_size_and_weights_that_differ_are_found_and_numbers_of_equal_value_are_equal() -> None:
    a = side("a", [0.1, 0.1], rows=[{"input_shape": "3x224x224"}] * 2)
    b = side(
        "b", [0.1, 0.1], rows=[{"input_shape": "3x32x32", "items_per_step": 1.0, "batch_size": 1.0}, {"weights": None}]
    )
    found = [(d.column, d.baseline_value, d.other_value, d.is_unknown) for d in compare([a, b]).differences]
    assert found == [
        ("input_shape", "3x224x224", "3x32x32", False), ("input_shape", "3x224x224", None, True),
        ("weights", "imagenet", None, True),
    ], "and 1 and 1.0 are one number"  # fmt: skip


def test_limits_that_only_judge_a_cell_are_no_other_work_save_for_a_server() -> None:
    strict, loose = options(max_latency_ms=5), options(max_latency_ms=50)
    plain = [side("a", [0.1], rows=[strict]), side("b", [0.1], rows=[loose])]
    assert compare(plain).differences == []
    served = [side(n, [0.1], rows=[o | {"scenario": "server"}]) for n, o in (("a", strict), ("b", loose))]
    assert [d.column for d in compare(served).differences] == ["option max_latency_ms"]


def test_options_that_are_no_json_are_compared_as_they_are() -> None:
    a, b = (side(n, [0.1], rows=[{"options": text}]) for n, text in (("a", "{torn"), ("b", "{torn")))
    assert compare([a, b]).differences == []
    c = side("c", [0.1], rows=[{"options": "[1]"}])
    assert [d.baseline_value for d in compare([a, c]).differences] == ["{torn"]


def test_a_side_is_split_by_a_columns_values() -> None:
    both = side("m", [0.1, 0.05], rows=[{"device": "cpu", "batch_size": 1}, {"device": "gpu", "batch_size": 1}])
    cpu, gpu = split(both, "device")
    assert (cpu.label, gpu.label) == ("cpu", "gpu")
    assert compare([cpu, gpu], across=["device"]).cells["ratio"][0] == pytest.approx(2, rel=0.02)
    with pytest.raises(ValueError, match="no column 'devise'; the columns are"):
        split(both, "devise")
    with pytest.raises(ValueError, match="needs a label"):
        Side(label="", trials=both.trials, samples=both.samples)


def test_what_must_differ_with_the_column_compared_across_is_no_difference() -> None:
    both = side("m", [0.1, 0.2])
    parts = split(both, "batch_size")
    assert differences(parts[0], parts[1], {("k",): (0, 0)}, [], ["batch_size"]) == []
    assert [d.column for d in differences(parts[0], parts[1], {("k",): (0, 0)}, [])] == ["items_per_step"]
