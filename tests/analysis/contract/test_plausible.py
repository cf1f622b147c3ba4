"""Of figures that contradict one another one is null, and a note says which and why."""

from __future__ import annotations

import math
from typing import Any

import pytest

from analysis.contract.plausible import notes, plausible


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        ({"mean_power_w": 300.0, "peak_power_w": 310.0, "idle_power_w": 80.0}, {}),
        ({"mean_power_w": 300.0, "peak_power_w": 290.0}, {"peak_power_w": None, "power_note": "peak power under the mean"}),
        ({"mean_power_w": 70.0, "idle_power_w": 80.0}, {"idle_power_w": None, "power_note": "idle power over the mean"}),
        ({"mean_power_w": 70.0, "peak_power_w": 60.0, "idle_power_w": 80.0},
         {"peak_power_w": None, "idle_power_w": None, "power_note": "peak power under the mean, idle power over the mean"}),
        ({"mean_power_w": None, "peak_power_w": 60.0, "idle_power_w": 80.0}, {}),
        ({"mean_power_w": math.nan, "peak_power_w": 60.0}, {}),
        ({"flop_share_ratio": 3.32, "bandwidth_share_ratio": 1.0},
         {"flop_share_ratio": None, "limits_note": "FLOP/s over the ceiling"}),
        ({"bandwidth_share_ratio": 1.01, "limits_note": "ceilings taken again"},
         {"bandwidth_share_ratio": None, "limits_note": "ceilings taken again, bandwidth over the ceiling"}),
    ],
)  # fmt: skip
def test_what_contradicts_another_figure_is_null_with_its_reason(row: dict[str, Any], changed: dict[str, Any]) -> None:
    assert plausible(row) == changed
    assert plausible({**row, **changed}) == {}, "and stays as it is"


def test_notes_are_told_once() -> None:
    assert notes("a, b", None, "b", math.nan, "c") == "a, b, c"
    assert notes(None) is None
