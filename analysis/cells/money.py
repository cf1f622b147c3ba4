"""What a million items cost and emit, from prices that a user names; nothing is looked up."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import pandas as pd

from analysis.cells.columns import THROUGHPUT

COST, GCO2 = "cost_per_million_items", "gco2_per_million_items"
"""Columns added by ``with_costs``."""
MILLION, J_PER_KWH, S_PER_HOUR = 1e6, 3.6e6, 3600


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What an hour of the machine and a kWh cost, in any currency, and how many grams of CO2 a kWh emits."""

    price_per_hour: float | None = None
    price_per_kwh: float | None = None
    gco2_per_kwh: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"--{field.name.replace('_', '-')}: {value} is not a number from 0 up")

    def formulas(self, item: str) -> list[str]:
        """How the columns come about, in words with the prices asked; empty without any."""
        parts = []
        if self.price_per_hour is not None:
            parts.append(f"{self.price_per_hour:g} per hour x 1,000,000 / ({item}/s x 3,600)")
        if self.price_per_kwh is not None:
            parts.append(f"{self.price_per_kwh:g} per kWh x joules per item x 1,000,000 / 3,600,000")
        said = [f"Cost of a million {item} = {' + '.join(parts)}, in the currency of the prices."] if parts else []
        if self.gco2_per_kwh is not None:
            said.append(f"CO2 of a million {item} = {self.gco2_per_kwh:g} g per kWh x joules per item x 1,000,000 /"
                        " 3,600,000.")  # fmt: skip
        counted = [
            name for name, price in (("cost", self.price_per_kwh), ("CO2", self.gco2_per_kwh)) if price is not None
        ]
        if counted:
            said.append("Joules are those of the energy counter: what it does not cover is not included in"
                        f" {' and '.join(counted)}; unknown energy is n/a.")  # fmt: skip
        return said


def with_costs(frame: pd.DataFrame, prices: Prices) -> pd.DataFrame:
    """The trials with ``COST`` and ``GCO2``; null where not asked for, or where speed or energy are unknown.

    A million items take 1e6 / throughput seconds and 1e6 times the joules of one; 3.6e6 J are a kWh.
    """
    kwh = frame["energy_per_item_j"].astype("float64") * MILLION / J_PER_KWH
    hours = MILLION / frame[THROUGHPUT[0]].astype("float64").where(lambda rate: rate > 0) / S_PER_HOUR
    parts = [
        amount * price
        for amount, price in ((hours, prices.price_per_hour), (kwh, prices.price_per_kwh)) if price is not None
    ]  # fmt: skip
    nothing = pd.Series(math.nan, index=frame.index)
    emitted = nothing if prices.gco2_per_kwh is None else kwh * prices.gco2_per_kwh
    return frame.assign(**{COST: sum(parts) if parts else nothing, GCO2: emitted})
