"""Which cell is first and which are statistically indistinguishable from it, as intervals, runs and rechecks have it."""

from __future__ import annotations

from typing import Any

import pytest

from analysis.cells.ranking import accuracy, intervals_part, over_runs, plain, rank, speed, step, widened
from analysis.stats.estimate import Figure
from analysis.stats.told_apart import verdict
from sweeps.store.schema import TRIALS
from tests.analysis.conftest import row


def of(rate: float, half: float = 0.01, index: int = 0, **values: Any) -> dict[str, Any]:
    ends = {"throughput_low_items_per_s": rate * (1 - half), "throughput_high_items_per_s": rate * (1 + half)}
    return row(index, throughput_items_per_s=rate, **{**ends, **values})


def rivals(rows: list[dict[str, Any]]) -> list[float]:
    ranking = rank(rows, speed)
    assert ranking is not None
    return [r["throughput_items_per_s"] for r in ranking.rivals]


def test_a_cell_is_first_where_the_interval_of_the_ratio_leaves_out_one() -> None:
    assert rivals([of(100), of(98.8), of(98)]) == [98.8], "1.4 % is the interval of a ratio of two that have 1 % each"
    assert rivals([of(100, 0.001), of(99.8, 0.001)]) == []
    assert rivals([of(100), of(100)]) == [100]


def test_no_difference_is_taken_for_real_that_a_recheck_showed_the_machine_to_make() -> None:
    rows = [of(100, 0.001), of(97, 0.001)]
    assert rivals(rows) == []
    moved = [r | {"moved_ratio": 1.04} for r in rows]
    assert rivals(moved) == [97]
    ratio = widened(Figure(value=1.03, low=1.02, high=1.04), moved[0])
    assert ratio.low == pytest.approx(1.02 / 1.04)
    assert ratio.high == pytest.approx(1.04 * 1.04)


def test_without_intervals_less_than_five_percent_is_no_difference() -> None:
    bare = [row(items_per_j=10.0), row(items_per_j=9.8), row(items_per_j=9.0), row()]
    ranking = rank(bare, plain("items_per_j"))
    assert ranking is not None
    assert [r["items_per_j"] for r in ranking.rivals] == [9.8]
    assert ranking.n_others == 2, "what is unknown ranks nowhere"
    assert rank([row()], plain("items_per_j")) is None


def test_the_smallest_is_first_where_lower_is_better() -> None:
    ranking = rank([row(step_median_s=s) for s in (0.1, 0.05, 0.0505)], step, is_lower_better=True)
    assert ranking is not None
    assert (ranking.row["step_median_s"], [r["step_median_s"] for r in ranking.rivals]) == (0.05, [0.0505])


def test_accuracies_are_alike_where_their_intervals_overlap() -> None:
    """353 of 360 is 96.0 to 99.1 %; 344 of 360 ends at 97.2 %, 335 at 95.2 %."""
    rows = [row(i, accuracy_best=n / 360, n_heldout_items=360) for i, n in enumerate((353, 344, 335))]
    best = accuracy(rows[0])
    assert best.low == pytest.approx(0.960, abs=5e-4)
    assert best.high == pytest.approx(0.991, abs=5e-4)
    ranking = rank(rows, accuracy, judge=intervals_part)
    assert ranking is not None
    assert [r["trial_key"] for r in ranking.rivals] == ["k001"]
    assert accuracy(rows[0] | {"learned": "nothing"}).value is None
    seeds = accuracy(rows[0] | {"n_runs": 3.0, "accuracy_sd": 0.01})
    assert seeds.low == pytest.approx(353 / 360 - 4.3027 * 0.01 / 3**0.5, abs=1e-4)


def test_one_cell_is_first_of_nothing_and_one_run_is_said_to_be_one() -> None:
    alone, apart = rank([of(100)], speed), rank([of(100), of(50)], speed)
    assert alone is not None
    assert apart is not None
    assert (alone.is_first, apart.is_first) == (False, True)
    assert apart.is_one_run
    repeated = rank([of(100, n_runs=3.0), of(50, n_runs=3.0)], speed)
    assert repeated is not None
    assert not repeated.is_one_run
    assert apart.has(apart.row)
    assert not apart.has(None)


def test_rivals_are_named_up_to_two_and_all_at_once() -> None:
    ranking = rank([of(100, index=i) for i in range(5)], speed)
    assert ranking is not None
    assert ranking.undecided(lambda r: r["trial_key"]) == "statistically indistinguishable from all 4 others"
    some = rank([*(of(100, index=i) for i in range(4)), of(50, index=4)], speed)
    assert some is not None
    assert some.undecided(lambda r: r["trial_key"]) == "statistically indistinguishable from k001; k002 and 1 more"


def test_a_sweeps_rows_get_their_intervals_over_runs() -> None:
    rows = [of(rate, 0.001, i, repeat=k + 1, trial_key=f"k{i}{k}", batch_size=i + 1)
            for i in range(3) for k, rate in enumerate((100.0 + i, 104.0 + i, 99.0 + i))]  # fmt: skip
    rows = [dict.fromkeys(TRIALS.names) | r | {"is_precise": True, "seed": 0} for r in rows]
    rows[1]["n_rounds"] = None
    found = over_runs(rows)
    assert sorted(found) == ["k00", "k10", "k20"]
    assert rivals(list(found.values())) != []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Figure(value=1.2, low=1.1, high=1.3), "faster"),
        (Figure(value=0.8, low=0.7, high=0.9), "slower"),
        (Figure(value=1.0, low=0.97, high=1.03), "same"),
        (Figure(value=0.971, low=0.964, high=0.978), "slower"),
        (Figure(value=1.0, low=0.9, high=1.1), "unclear"),
        (Figure(value=3.0), "unclear"),
        (Figure(value=None), "unclear"),
    ],
)
def test_a_ratio_has_the_verdict_of_its_interval(found: Figure, told: str) -> None:
    assert verdict(found) == told


def test_a_difference_that_is_certain_and_small_is_neither_slower_nor_the_same() -> None:
    found = Figure(value=0.971, low=0.94, high=0.978)
    assert verdict(found, least=0.05) == "unclear"
    assert verdict(found, least=0.05, same=0.07) == "same"
