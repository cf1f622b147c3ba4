"""Throughput and latency over batch size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from analysis.cells.groups import by_task
from analysis.cells.identity import with_identity
from analysis.cells.rows import items_of
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, shortened
from analysis.read.sweeps import Page
from analysis.subjects.scaling.answer import answer
from analysis.subjects.scaling.crossover import crossovers
from analysis.subjects.scaling.devices import COLUMNS as DEVICE_COLUMNS
from analysis.subjects.scaling.devices import devices_answer, devices_table, over_devices
from analysis.subjects.scaling.figures import MAX_CURVES, draw_scaling
from analysis.subjects.scaling.quantities import COLUMNS, Curve, curves, is_server
from analysis.subjects.scaling.tables import cells_table, crossover_table, knee_table
from analysis.text import escape


def left_out(page: Page, found: Sequence[Curve]) -> list[str]:
    """What the figures or the whole page do not show."""
    said = []
    n_server = int(is_server(page.trials).sum())
    if n_server:
        cells = "1 server cell is" if n_server == 1 else f"{n_server} server cells are"
        said.append(
            f"{cells} left out, as their throughput is the rate at which requests arrive; see report_latency.py."
        )
    tasks = [curve.task for curve in found]
    if any(tasks.count(task) > MAX_CURVES for task in tasks):
        said.append(f"Figures show the {MAX_CURVES} fastest settings of a task; the tables have all.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    frame = with_identity(page.trials)
    found = curves(frame)
    met = crossovers(found, frame)
    item = items_of(frame)
    told = escape(item)
    shared = over_devices(frame)
    drawn = draw_each(page, "scaling", by_task(found), partial(draw_scaling, crossovers=met, item=item))
    return fill(
        "subjects/scaling/page.md.j2", page, "Throughput and latency over batch size",
        answer=shortened([*devices_answer(shared, told), *answer(found, met, told)]),
        devices=devices_table(shared, told),
        figures=drawn.leaving_out(left_out(page, found)),
        knees=knee_table(found, told), crossovers=crossover_table(met), cells=cells_table(found, told),
    )  # fmt: skip


main = report_main(
    "scaling", build, (*COLUMNS, *DEVICE_COLUMNS), "Write the report on throughput and latency over batch size."
)
