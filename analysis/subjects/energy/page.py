"""Energy: joules per item, power, speed against energy."""

from __future__ import annotations

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import groups
from analysis.page.columns import Column, between, cell_table, in_word, part, plain
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.energy.answer import best_sentences, power_sentences, source_sentences, unknown_sentences
from analysis.subjects.energy.figures import draw_front, draw_over_batch
from analysis.subjects.energy.quantities import COLUMNS, costs, domain_columns, sources
from analysis.text import counted


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, [*COLUMNS, *THROUGHPUT])
    cells = costs(frame)
    names = domain_columns(frame, cells)
    by_domain = groups(cells, names)
    return fill(
        "subjects/energy/page.md.j2", page, "Energy",
        answer=[*best_sentences(cells, names), *power_sentences(frame, cells), *unknown_sentences(frame)],
        front_figures=draw_each(page, "front", by_domain, draw_front),
        n_front=counted(int(cells["is_on_front"].sum())),
        batch_figures=draw_each(page, "items-per-joule", by_domain, draw_over_batch),
        costs=costs_table(cells),
        sources=source_sentences(cells),
    )  # fmt: skip


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


main = report_main(
    "energy", build, COLUMNS, "Write the report on energy: joules per item, power, speed against energy."
)
