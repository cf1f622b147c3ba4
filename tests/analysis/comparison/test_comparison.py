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
from analysis.comparison.answer import regression, undecided
from analysis.comparison.best import best_cells
from analysis.comparison.comparison import Comparison, compare, most_telling
from analysis.comparison.runs import seconds_per_item
from tests.analysis.conftest import row


def side(
    label: str, steps: Sequence[float], *, rows: Sequence[dict[str, Any]] = (), n_runs: int = 5, between: float = 0.01,
    seed: int = 0,
) -> Side:  # fmt: skip
    """Cells of batch sizes 1, 2, 4, ... of a sweep that take these steps, in repeats that differ by ``between``.

    ``rows`` change the cells one by one.
    """
    rng = np.random.default_rng([7, seed])
    made = []
    for i, step in enumerate(steps):
        changes = rows[i] if i < len(rows) else {}
        for repeat in range(1, n_runs + 1):
            took = step * math.exp(between * rng.standard_normal())
            made.append(row(i, **{"batch_size": 2**i, "step_median_s": took, "repeat": repeat} | changes))
    return Side(label=label, trials=pd.DataFrame(made))


def test_ratios_cover_what_was_planted_and_only_what_is_large_and_certain_is_faster_or_slower() -> None:
    planted = [ratio for ratio in (1.5, 0.8, 1.0, 1.03) for _ in range(8)]
    comparison = compare([side("old", [0.1] * 32), side("new", [0.1 / r for r in planted], seed=1)])
    cells = comparison.cells.assign(planted=planted)
    assert cells["batch_size"].tolist() == [2**i for i in range(32)]
    assert cells["ratio"].tolist() == pytest.approx(planted, rel=0.03)
    assert ((cells["ratio_low"] < planted) & (planted < cells["ratio_high"])).mean() > 0.85, (
        "95 % of them in the long run"
    )
    found = cells.groupby("planted")["verdict"].agg(set).to_dict()
    assert found[1.5] == {"faster"}
    assert found[0.8] == {"slower"}
    assert found[1.0] == {"same"}
    assert found[1.03] <= {"same", "unclear"}
    assert (cells.loc[cells["planted"] == 1.03, "p"] < 0.006).any(), "3 % can be certain, and are of no interest"
    assert cells["baseline_s"][2] == pytest.approx(0.1 / 4, rel=0.02), "seconds per item of a batch of 4"
    assert regression(comparison, "a")


def test_a_large_difference_that_is_not_certain_is_unclear() -> None:
    sides = side("a", [0.1], between=0.25, seed=2), side("b", [0.08], seed=5, between=0.25)
    (cell,) = compare(sides).cells.to_dict("records")
    assert cell["ratio"] > 1.05
    assert cell["p"] > 0.006
    assert cell["verdict"] == "unclear"


def test_p_is_corrected_for_the_number_of_cells_of_all_sides() -> None:
    many = [side("a", [0.1] * 40), *(side(n, [0.097] + [0.1] * 39, seed=s) for n, s in (("b", 1), ("c", 2)))]
    corrected = compare(many).cells
    assert len(corrected) == 80
    assert corrected["p"].max() == 1
    assert (corrected["verdict"] != "slower").all()


@pytest.mark.parametrize("n_runs", [2, 3, 5])
def test_forty_equal_cells_are_never_called_faster_or_slower(n_runs: int) -> None:
    sides = [side(n, [0.1] * 40, between=0.05, seed=s, n_runs=n_runs) for n, s in (("a", 0), ("b", 3))]
    found = compare(sides)
    assert not found.cells["verdict"].isin(["faster", "slower"]).any()
    assert found.sides["verdict"].tolist() == ["unclear" if n_runs == 2 else found.sides["verdict"][0]]
    assert regression(found, "a") is None


def test_three_runs_borrow_from_other_cells_what_they_lack_of_certainty() -> None:
    steps = [0.1] * 12
    noise: dict[str, Any] = {"n_runs": 3, "between": 0.03}
    alone = compare([side("a", steps[:1], **noise), side("b", [0.116], **noise, seed=1)])
    among = compare([side("a", steps, **noise), side("b", [0.116, *steps[1:]], **noise, seed=1)])
    assert alone.cells["verdict"][0] == "unclear"
    assert among.cells["verdict"][0] == "slower"
    assert among.sides["spread"][0] == pytest.approx(0.03, rel=0.3)


def test_all_cells_together_are_judged_by_a_rule_of_their_own() -> None:
    sides = [side("a", [0.1] * 12, between=0.03), side("b", [0.105] * 12, between=0.03, seed=6)]
    found = compare(sides)
    assert (found.cells["verdict"] == "slower").sum() < 12, "5 % are certain in some of them"
    assert found.sides["verdict"].tolist() == ["slower"]
    assert "all cells together slower (0.9" in str(regression(found, "a"))
    assert found.sides["smallest_shift"][0] < 1.05 < found.sides["smallest_cell"][0]


def test_runs_that_differ_as_a_whole_are_no_shift_of_all_cells() -> None:
    """Three sweeps a side, of which one found the machine slow: all cells moved together, which is one fact, not twelve."""

    def of(label: str, speeds: Sequence[float]) -> Side:
        made = [side(label, [0.1 * s] * 12, n_runs=1, between=0.002, seed=i) for i, s in enumerate(speeds)]
        return Side(
            label=label, trials=pd.concat([m.trials.assign(sweep_id=f"{label}{i}") for i, m in enumerate(made)])
        )

    found = compare([of("a", [1.0, 1.01, 0.99]), of("b", [1.0, 1.2, 1.01])])
    assert regression(found, "a") is None
    assert found.sides["verdict"].tolist() == ["unclear"]


def test_the_geometric_mean_of_twice_and_half_is_one_and_its_interval_says_so() -> None:
    comparison = compare([side("a", [0.1, 0.1, 0.1]), side("b", [0.05, 0.2, 0.1], seed=1)])
    (mean,) = comparison.sides.to_dict("records")
    assert (mean["n_cells"], mean["faster"], mean["slower"], mean["same"], mean["unclear"]) == (3, 1, 1, 1, 0)
    assert mean["ratio"] == pytest.approx(1, abs=0.02)
    assert mean["ratio_low"] < 1 < mean["ratio_high"]
    assert mean["ratio"] == pytest.approx(math.prod(comparison.cells["ratio"]) ** (1 / 3))


def test_each_side_of_three_is_compared_with_the_first() -> None:
    found = compare([side("a", [0.1]), side("b", [0.2], seed=1), side("c", [0.05], seed=2)])
    assert found.cells["side"].tolist() == ["b", "c"]
    assert found.cells["verdict"].tolist() == ["slower", "faster"]
    assert found.sides.set_index("side")["ratio"].to_dict() == pytest.approx({"b": 0.5, "c": 2.0}, rel=0.03)
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


def test_a_run_is_a_sweep_where_several_measured_the_cell_else_a_repeat() -> None:
    two = pd.concat([side("a", [0.1, 0.2], seed=i).trials.assign(sweep_id=f"s{i}") for i in range(2)])
    apart = two[(two["batch_size"] == 1) | (two["sweep_id"] == "s0")]
    made = Side(label="a", trials=apart)
    cells = compare([made, Side(label="b", trials=apart)]).cells
    assert cells["n_runs"].tolist() == [2, 5], "two sweeps; five repeats of the one that has it"
    seeds = side("a", [0.1], n_runs=1).trials
    both = Side(label="a", trials=pd.concat([seeds.assign(seed=s) for s in (0, 1)]))
    assert compare([both, Side(label="b", trials=both.trials)]).cells["n_runs"].tolist() == [2]


def test_of_one_run_a_ratio_has_an_interval_from_within_it_and_no_verdict() -> None:
    sides = [side("a", [0.1, 0.1], n_runs=1), side("b", [0.22, 0.1], seed=1, n_runs=1)]
    found = compare(sides)
    first, second = found.cells.to_dict("records")
    assert first["ratio"] == pytest.approx(1 / 2.2, rel=0.03)
    assert first["ratio_low"] < first["ratio"] < first["ratio_high"]
    assert [first["verdict"], second["verdict"]] == ["one run", "one run"]
    assert math.isnan(first["p"])
    assert regression(found, "a") is None
    assert undecided(found, "a")


def test_cells_without_samples_are_compared_by_their_medians() -> None:
    """A single file of trials keeps no samples; of 24 cells that took 2.2 times as long each is slower."""
    found = compare([side("a", [0.1] * 24, n_runs=3), side("b", [0.22] * 24, n_runs=3, seed=1)]).cells
    assert found["verdict"].tolist() == ["slower"] * 24
    bare = side("b", [0.1]).trials.assign(step_median_s=None)
    unknown = compare([side("a", [0.1]), Side(label="b", trials=bare)])
    assert math.isnan(unknown.cells["ratio"][0])
    assert unknown.sides["n_cells"].tolist() == [0]


@pytest.mark.parametrize("which", ["every run", "one run"])
def test_verdicts_are_demoted_where_other_work_took_over_a_tenth_of_the_machine(which: str) -> None:
    a, b = side("a", [0.1] * 3), side("b", [0.2, 0.1, 0.1], seed=1)
    is_busy = (b.trials["batch_size"] == 1) & ((b.trials["repeat"] == 2) | (which == "every run"))
    busy = Side(label="b", trials=b.trials.assign(other_load_ratio=is_busy * 0.11))
    found = compare([a, busy])
    assert found.cells["verdict"].tolist() == ["disturbed", "same", "same"]
    assert regression(found, "a") is None
    assert "1 cell measured while other work" in str(undecided(found, "a"))
    assert regression(compare([a, b]), "a")


def test_a_batch_stands_for_its_items_and_a_request_for_one() -> None:
    assert seconds_per_item(row(batch_size=8, step_median_s=0.8)).value == pytest.approx(0.1)
    assert seconds_per_item(row(batch_size=8, step_median_s=0.8, items_per_step=64)).value == pytest.approx(0.0125)
    assert seconds_per_item(row(batch_size=8, step_median_s=0.8, scenario="server")).value == 0.8
    served = row(batch_size=8, latency_p50_s=0.2, scenario="server")
    assert seconds_per_item(served | {"step_median_s": None}).value == 0.2
    assert seconds_per_item({"step_median_s": 0.0}).value is None


def test_energy_and_memory_are_compared_only_where_both_were_counted_alike() -> None:
    def costs(ours: dict[str, Any], theirs: dict[str, Any], across: Sequence[str] = ()) -> tuple[float, float]:
        cells = compare([side("a", [0.1], rows=[ours]), side("b", [0.1], rows=[theirs])], across=across).cells
        return cells["energy_ratio"][0], cells["memory_ratio"][0]

    board = {"energy_per_item_j": 2.0, "energy_domain": "gpu board", "device_peak_allocated_bytes": 100.0}
    assert math.isnan(costs(board, board)[1]), "older peaks no further apart than the workspaces that some of them hold"
    board |= {"device_held_before_bytes": 0.0}
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
    assert absent.outcomes.empty, "what was not was not lost"
    retried = Side(label="b", trials=pd.concat([lost.trials, whole.trials.iloc[5:]]))
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


def test_the_hash_of_a_users_network_is_an_axis_only_where_one_was_edited() -> None:
    def axes(*codes: tuple[str, str]) -> list[str]:
        rows = [{"workload": "w", "model": model, "options": f'{{"code": "{code}"}}'} for model, code in codes]
        return key_columns([Side(label="one", trials=pd.DataFrame(rows))])

    assert "option code" not in axes(("a.py:f", "1"), ("b.py:f", "2"))
    assert "option code" in axes(("a.py:f", "1"), ("a.py:f", "3"), ("b.py:f", "2"))


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
        Side(label="", trials=both.trials)


def test_what_must_differ_with_the_column_compared_across_is_no_difference() -> None:
    both = side("m", [0.1, 0.2])
    parts = split(both, "batch_size")
    assert differences(parts[0], parts[1], {("k",): (0, 0)}, [], ["batch_size"]) == []
    assert [d.column for d in differences(parts[0], parts[1], {("k",): (0, 0)}, [])] == ["items_per_step"]


def test_the_most_frugal_is_told_of_how_many_and_never_of_the_one_whose_energy_is_known() -> None:
    def told(*items_per_j: float | None) -> Any:
        rows = [{"items_per_j": value, "energy_domain": "gpu board"} for value in items_per_j]
        both = [side(label, [0.1, 0.2, 0.3], rows=rows, n_runs=1) for label in "ab"]
        return best_cells(both, [])[0]["frugal_settings"].tolist()[0]

    assert "whose energy" not in str(told(1.0, 3.0, 2.0))
    assert str(told(1.0, 3.0, None)).endswith("batch 2, of the 2 of 3 cells with an energy measurement")
    assert pd.isna(told(1.0, None, None))
