"""Latency: percentiles, the load curve, items per second at a deadline, copies."""

from __future__ import annotations

from analysis.cells.groups import groups, machine_columns, task_columns
from analysis.cells.rows import complete
from analysis.contract.cells import MIN_SAMPLES
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.latency import tables
from analysis.subjects.latency.answer import deadline_sentences, load_sentences, tail_sentences, transfer_sentences
from analysis.subjects.latency.figures import draw_latency_front, draw_percentiles, draw_transfers
from analysis.subjects.latency.over_rate import TRIED, draw_over_rate, tasks_and_curves
from analysis.subjects.latency.quantities import COLUMNS, PERCENTILES, load_cells, timed
from analysis.subjects.latency.tails import tail_intervals
from analysis.subjects.latency.transfers import COPY_COLUMNS, transfers
from analysis.subjects.latency.tried import tried_rates, tried_table


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    kept = ["sweep", "trial_key"]
    frame = identified(page, [*COLUMNS, *COPY_COLUMNS])
    done = complete(frame)
    tails = tail_intervals(done[done["latency_p99_s"].notna()], page.sweeps)
    frame = frame.merge(tails.drop_duplicates(kept), on=kept, how="left")
    copies = transfers(frame)
    by_device = groups(copies, [*machine_columns(copies), "device"])
    tried = tried_rates(frame, page.rounds)
    named = task_columns(frame)
    by_load = tasks_and_curves(groups(load_cells(frame), named))
    by_tried = tasks_and_curves(groups(tried, named))
    return fill(
        "subjects/latency/page.md.j2", page, "Latency",
        answer=[*tail_sentences(frame), *load_sentences(frame), *deadline_sentences(frame), *transfer_sentences(frame)],
        at_deadlines=tables.deadlines_table(frame), held=tables.held_table(frame), load=tables.load_table(frame),
        percentiles=tables.percentiles_table(frame), transfers=tables.transfers_table(frame),
        bandwidths=tables.bandwidths_table(frame),
        load_figures=draw_each(page, "load-percentiles", by_load, draw_over_rate),
        tried=tried_table(tried),
        tried_figures=draw_each(page, "rates-tried", by_tried, lambda path, one: draw_over_rate(path, one, TRIED)),
        percentile_figures=draw_each(page, "percentiles", groups(timed(frame), named), draw_percentiles),
        fronts=draw_each(page, "front-latency", groups(done, named), draw_latency_front),
        samples_needed=", ".join(f"{p} from {n:,}" for p, n in zip(PERCENTILES, MIN_SAMPLES.values(), strict=True)),
        transfer_figures=draw_each(page, "transfers", by_device, draw_transfers),
    )  # fmt: skip


main = report_main(
    "latency", build, [*COLUMNS, *COPY_COLUMNS],
    "Write the report on latency: percentiles, load, deadlines, copies.",
)  # fmt: skip
