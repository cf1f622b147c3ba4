"""The table of the report on energy, as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.page.columns import Column, between, cell_table, in_word, part, plain
from analysis.subjects.energy.quantities import sources


def costs_table(cells: pd.DataFrame) -> str:
    """Every cell whose energy is known."""
    lead = [Column("Pareto front", lambda row: "yes" if row["is_on_front"] else "")]
    if len(sources(cells)) > 1:
        lead += [in_word("source", "energy_source"), in_word("covers", "energy_domain")]
    return cell_table(cells, [
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
    ], lead=lead)  # fmt: skip
