"""The Pareto front against its definition, pair by pair."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from analysis.stats.pareto import pareto_mask
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan])


def by_definition(frame: pd.DataFrame) -> list[bool]:
    """Of fast and cheap: nothing else is at least as good in both and better in one."""
    rows = list(zip(frame["speed"], frame["cost"], strict=True))

    def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return a[0] >= b[0] and a[1] <= b[1] and a != b

    return [not any(map(math.isnan, row)) and not any(beats(other, row) for other in rows) for row in rows]


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12))
def test_the_front_is_what_the_definition_says(rows: list[tuple[float, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["speed", "cost"])
    assert pareto_mask(frame, maximise=["speed"], minimise=["cost"]).tolist() == by_definition(frame)


def test_one_column_has_its_best_and_equals_stay_together() -> None:
    frame = pd.DataFrame({"cost": [2.0, 1.0, None, 1.0]})
    assert pareto_mask(frame, minimise=["cost"]).tolist() == [False, True, False, True]
    assert pareto_mask(frame, maximise=["cost"]).tolist() == [True, False, False, False]


def test_a_front_of_no_column_is_refused() -> None:
    with pytest.raises(ValueError, match="name at least one column"):
        pareto_mask(pd.DataFrame({"cost": [1.0]}))
