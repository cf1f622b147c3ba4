"""What a million items cost and emit, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.cells.money import COST, GCO2, Prices, with_costs
from analysis.page.command_line import run_script
from analysis.recommendation.page import write_report
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")


def test_hours_and_kilowatt_hours_add_up_and_what_is_unknown_stays_so() -> None:
    frame = pd.DataFrame({"throughput_items_per_s": [1000.0, 500.0, 0.0], "energy_per_item_j": [0.36, None, 1.0]})
    both = with_costs(frame, Prices(price_per_hour=3.6, price_per_kwh=0.5, gco2_per_kwh=300))
    assert both[COST].tolist() == [
        pytest.approx(3.6 * 1000 / 3600 + 0.5 * 0.1),
        pytest.approx(float("nan"), nan_ok=True),
    ] * 1 + [pytest.approx(float("nan"), nan_ok=True)]
    assert both[GCO2].tolist()[0] == pytest.approx(30.0)
    assert both[GCO2].isna().tolist() == [False, True, False]
    hours = with_costs(frame, Prices(price_per_hour=3.6))
    assert hours[COST].tolist()[:2] == [pytest.approx(1.0), pytest.approx(2.0)]
    assert with_costs(frame, Prices())[[COST, GCO2]].isna().all(axis=None)


def test_the_report_has_columns_with_the_formula_and_names_the_cheapest(write_sweep: Write) -> None:
    rows = [
        row(0, device="gpu", energy_per_item_j=0.5, items_per_j=2.0),
        row(1, batch_size=16, energy_per_item_j=0.1, items_per_j=10.0),
    ]
    folder = write_sweep(rows)
    text = write_report(folder, price_per_hour=2.5, price_per_kwh=0.3, gco2_per_kwh=300).read_text()
    assert "cost (per million images)" in text
    assert "CO2 (g per million images)" in text
    assert (
        "2.5 per hour x 1,000,000 / (images/s x 3,600) + 0.3 per kWh x joules per item x 1,000,000 / 3,600,000" in text
    )
    assert "cost: least cost per million images" in text
    assert "million" not in write_report(folder).read_text()


@pytest.mark.parametrize("option", ["--price-per-hour", "--price-per-kwh", "--gco2-per-kwh"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf"])
def test_a_price_that_is_none_is_one_line_and_exit_code_2(
    write_sweep: Write, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert run_script("report", [str(write_sweep([row()])), f"{option}={value}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{option}: {float(value)} is not a number from 0 up" in said
