"""Which cells may be recommended: their speed is known, and a server holds what it was asked for."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.cells.usable import usable
from analysis.contract.choice import KEEPS_UP_RATIO, falls_behind
from tests.analysis.conftest import row
from tests.analysis.made_up import server

COLUMNS = {"max_rate_per_s": None, "latency_p99_s": None, "deadline_s": None, "rate_per_s": None,
           "completed_rate_per_s": None, "n_dropped": None}  # fmt: skip


def frame_of(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{**COLUMNS, **r} for r in rows]).astype({name: "float64" for name in COLUMNS})


def test_a_cell_without_a_known_speed_cannot_be_recommended() -> None:
    cells = frame_of(row(0), row(1, throughput_items_per_s=None))
    assert usable(cells)["trial_key"].tolist() == ["k000"]


def test_a_server_must_keep_up_and_hold_its_deadline() -> None:
    cells = frame_of(
        server(0, 10.0, 0.02), server(1, 10.0, 0.06), server(2, 10.0, 0.02, completed=8.9),
        server(3, 10.0, 0.02, n_dropped=1), server(4, 10.0, 0.9, deadline_s=None), server(5, 10.0, 0.05),
    )  # fmt: skip
    assert usable(cells)["trial_key"].tolist() == ["k000", "k004", "k005"]


@pytest.mark.parametrize(("completed", "is_behind"), [(10.0, False), (9.0, False), (8.99, True)])
def test_random_arrivals_alone_do_not_count_as_falling_behind(completed: float, is_behind: bool) -> None:
    assert KEEPS_UP_RATIO == 0.9
    asked = server(0, 10.0, 0.02, completed=completed)
    found = {**asked, "rate_per_s": None, "max_rate_per_s": 10.0}
    assert [falls_behind(asked), falls_behind(found)] == [is_behind, is_behind]
