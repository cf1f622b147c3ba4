"""How close each cell comes to what the device can do."""

from __future__ import annotations

from analysis.cells.groups import groups, machine_columns
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.roofline.answer import answer
from analysis.subjects.roofline.figures import draw_rooflines
from analysis.subjects.roofline.quantities import COLUMNS, placed
from analysis.subjects.roofline.tables import ceilings_table, cells_table


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, COLUMNS)
    cells = placed(frame)
    by_device = groups(cells, [*machine_columns(cells), "device"])
    return fill(
        "subjects/roofline/page.md.j2", page, "Roofline",
        answer=answer(frame, cells),
        figures=draw_each(page, "roofline", by_device, draw_rooflines),
        ceilings=ceilings_table(cells),
        cells=cells_table(cells),
    )  # fmt: skip


main = report_main("roofline", build, COLUMNS, "Write the report on how close each cell comes to its device's limits.")
