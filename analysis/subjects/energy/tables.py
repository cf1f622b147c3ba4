"""."""

from __future__ import annotations

import pandas as pd

from analysis.page.cell_table import Column, between, cell_table, part, plain
from analysis.subjects.energy.quantities import sources
from analysis.text import escape, is_missing

THROUGHPUT = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")


def costs_table(cells: pd.DataFrame) -> str:
    """Every cell whose energy is known."""
    front = Column(title="Pareto front", show=lambda r: "yes" if r["is_on_front"] else "")
    covers = [] if len(sources(cells)) < 2 else [
        Column(title=title, show=lambda r, c=column: "" if is_missing(r[c]) else escape(r[c]))  # type: ignore[misc]
        for title, column in (("source", "energy_source"), ("covers", "energy_domain"))
    ]  # fmt: skip
    columns = [
        between("throughput (items/s)", THROUGHPUT),
        plain("energy (J/item)", "energy_per_item_j"),
        plain("above idle (J/item)", "above_idle_per_item_j"),
        plain("items per joule", "items_per_j"),
        plain("mean power (W)", "mean_power_w"),
        plain("peak power (W)", "peak_power_w"),
        plain("idle power (W)", "idle_power_w"),
        part("idle share", "idle_share_ratio"),
        plain("window (s)", "energy_window_s"),
        plain("energy to target accuracy (J)", "energy_to_target_j"),
    ]
    return cell_table(cells, columns, lead=[front, *covers])
