"""Energy: joules per item, power, speed against energy."""

from __future__ import annotations

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import groups
from analysis.figures.front import draw_front
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.energy.answer import (
    best_sentences,
    left_out_sentences,
    power_sentences,
    source_sentences,
    unknown_sentences,
)
from analysis.subjects.energy.figures import ENERGY, draw_over_batch
from analysis.subjects.energy.quantities import COLUMNS, costs, domain_columns
from analysis.subjects.energy.tables import costs_table
from analysis.text import counted


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, [*COLUMNS, *THROUGHPUT])
    cells = costs(frame)
    names = domain_columns(frame, cells)
    by_domain = groups(cells, names)
    return fill(
        "subjects/energy/page.md.j2", page, "Energy",
        answer=[*best_sentences(frame, cells, names), *power_sentences(frame, cells), *left_out_sentences(frame),
                *unknown_sentences(frame)],
        front_figures=draw_each(page, "front", by_domain, lambda path, domain: draw_front(path, domain, ENERGY)),
        n_front=counted(int(cells["is_on_front"].sum())),
        batch_figures=draw_each(page, "items-per-joule", by_domain, draw_over_batch),
        costs=costs_table(cells),
        sources=source_sentences(cells),
    )  # fmt: skip


main = report_main(
    "energy", build, COLUMNS, "Write the report on energy: joules per item, power, speed against energy."
)
