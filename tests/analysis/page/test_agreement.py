"""A page says over how many items agreement is, what its error is to rounding's, and loads old rows that know neither."""

from __future__ import annotations

import pytest

from analysis.page.agreement import n_compared_told, other_types, rounding_column, top1_column
from analysis.read.sweep import load_sweep
from tests.analysis.conftest import Write, row
from workloads.precision import PRECISIONS, product_type


def test_the_types_are_those_of_the_precisions(write_sweep: Write) -> None:
    rows = [row(i, precision=name, computed_dtype=product_type(name)) for i, name in enumerate(PRECISIONS)]
    assert other_types(load_sweep(write_sweep(rows))) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [({"n_compared": 64}, " (n=64)"), ({}, "")],
)
def test_the_number_of_items_stands_behind_the_share(values, said: str) -> None:
    shown = top1_column().show({"top1_agreement_ratio": 0.984375, **values})
    assert shown.endswith(said)
    assert shown.startswith("98.4")
    assert "(" not in top1_column().show({"top1_agreement_ratio": None, "n_compared": 64})


def test_an_error_is_told_in_times_of_what_rounding_explains() -> None:
    show = rounding_column().show
    assert show({"rms_rel_diff": 3e-3, "rounding_rel_diff": 2e-3}).startswith("1.5")
    assert show({"rms_rel_diff": 3e-3, "rounding_rel_diff": None}) == show({})


def test_old_rows_know_no_number(write_sweep: Write) -> None:
    assert n_compared_told(load_sweep(write_sweep([row()]))) == ""
    told = n_compared_told(load_sweep(write_sweep([row(n_compared=8), row(n_compared=64)], "more")))
    assert told == "8 to 64"
