"""The page ``report_distributions.md``: the samples of the cells that the answer names, and the order of all cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import groups, machine_columns, task_columns
from analysis.cells.identity import with_identity
from analysis.cells.naming import label, varying
from analysis.cells.pooling import SAME_PLACE
from analysis.cells.rows import records, setting_columns
from analysis.contract.choice import CHOSEN_BY
from analysis.page import columns
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified, shortened
from analysis.read.sweeps import Page, load_sweeps
from analysis.subjects.distributions.figures import draw_order, draw_samples
from analysis.subjects.distributions.samples import Sampled, repeated, sampled
from analysis.text import counted, escape, number, seconds_as_ms, share

COLUMNS = (*dict.fromkeys((*CHOSEN_BY, *THROUGHPUT, *SAME_PLACE, "started_at", "wall_s", "temperature_end_c",
           "other_load_ratio", "drift_ratio", "repeat", "steps_per_sample", "options")),)  # fmt: skip
TELLING = 0.8
"""Share of the samples that independent ones must be worth for nothing to be said of it."""


def sentences(found: Sequence[Sampled]) -> list[str]:
    """What the samples of each cell are worth, how far its tail reaches, and how far its runs lie apart."""
    said = []
    for cell in found:
        median, n = float(np.median(cell.seconds)), len(cell.seconds)
        of_runs = f" in {counted(len(cell.runs), 'run')}" if len(cell.runs) > 1 else ""
        told = f"**{escape(cell.name)}**: {n:,} samples{of_runs}, median {seconds_as_ms(median)} ms"
        if median > 0:
            told += f"; one in a hundred takes over {number(np.quantile(cell.seconds, 0.99) / median)} times as long"
        if cell.n_worth < TELLING * n:
            told += (f"; neighbouring samples are correlated ({number(cell.alike[1], 2)}), so they are worth only"
                     f" {round(cell.n_worth):,} independent ones")  # fmt: skip
        if len(cell.runs) > 1 and min(cell.medians) > 0:
            told += f"; the medians of its runs differ by {share(max(cell.medians) / min(cell.medians) - 1)}"
        said.append(f"{told}.")
    return said


def order_table(every: pd.DataFrame) -> str:
    """The runs of all cells in the order in which they began, as far as that is known."""
    ran = every[every["started_at"].notna()].sort_values("started_at", kind="stable")
    names = list(dict.fromkeys([*task_columns(every), *setting_columns(every)]))
    return columns.column_table(records(ran), [
        columns.Column("cell", lambda row: escape(label(row, names))),
        *([columns.count("repeat", "repeat")] if varying(ran, ["repeat"]) else []),
        columns.Column("began (UTC)", lambda row: escape(str(row["started_at"])[:19])),
        columns.Column("ended as", lambda row: escape(row["status"])),
        *columns.known_of(ran, [
            columns.plain("took (s)", "wall_s"), columns.part("change of the step while measured", "drift_ratio"),
            columns.part("other processes' load", "other_load_ratio"),
            columns.plain("temperature at the end (°C)", "temperature_end_c"),
        ]),
    ])  # fmt: skip


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    every = with_identity(load_sweeps(page.sweeps, COLUMNS))
    found = sampled(identified(page, COLUMNS), every, page.sweeps)
    return fill(
        "subjects/distributions/page.md.j2", page, "Distributions", answer=shortened(sentences(found)),
        figures=draw_each(page, "samples", found, draw_samples), order=order_table(every),
        order_figures=draw_each(page, "order", groups(repeated(every), machine_columns(every)), draw_order),
    )  # fmt: skip


main = report_main(
    "distributions", build, COLUMNS,
    "Write the report on samples: over time, as distributions, correlation of neighbours, and the order of the cells.",
)  # fmt: skip
