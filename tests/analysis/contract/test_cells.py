"""What statuses and options mean, against the tables that have them."""

from __future__ import annotations

from analysis.cells.columns import CELL_COLUMNS, STRATUM
from analysis.contract.cells import (
    BOUNDS_BATCH,
    FAILED,
    MEASURED,
    OPTION_COLUMNS,
    RETRIED,
    SETTINGS,
    STATUSES,
    TASK_COLUMNS,
    TASK_OPTIONS,
    known,
)
from sweeps.store.schema import TRIALS


def test_traits_of_statuses() -> None:
    assert (MEASURED, BOUNDS_BATCH) == (("complete", "pruned"), ("oom",))
    assert set(RETRIED) < set(FAILED)
    assert set(STATUSES) - set(MEASURED) - set(FAILED) == {"unsupported"}


def test_every_column_named_is_in_the_table() -> None:
    named = {*OPTION_COLUMNS.values(), *TASK_COLUMNS, *SETTINGS, *STRATUM, *CELL_COLUMNS}
    assert named <= set(TRIALS.names)
    assert set(TASK_OPTIONS) <= set(OPTION_COLUMNS)
    assert not set(TASK_COLUMNS) & set(SETTINGS)
    assert set(CELL_COLUMNS) == {*TASK_COLUMNS, *SETTINGS}


def test_a_number_is_known_or_none() -> None:
    assert [known(v) for v in (1, 2.5, None, float("nan"), float("inf"), "x")] == [1.0, 2.5, None, None, None, None]
