"""How close each cell comes to what the device can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.cells.groups import Group, groups, machine_columns
from analysis.page.command_line import run_report
from analysis.page.sections import draw_each, fill, identified, titled
from analysis.read.sweeps import Page
from analysis.subjects.roofline.answer import (
    apart_sentences,
    far_sentence,
    over_sentence,
    reached_sentences,
    unplaced_sentences,
)
from analysis.subjects.roofline.figures import MAX_PANELS, draw_rooflines, engineering
from analysis.subjects.roofline.quantities import COLUMNS, Roof, placed, roofs
from analysis.subjects.roofline.tables import ceilings_table, cells_table

NAME = "report_roofline"


def _draw(path: Path, group: Group) -> str:
    found = roofs(group.cells)
    title = titled("Roofline", group)
    draw_rooflines(path, found, title=title)
    tops = [_ceilings(roof) for roof in found[:MAX_PANELS]]
    left = f", the first {MAX_PANELS} of {len(found)} precisions" if len(found) > MAX_PANELS else ""
    return f"{title}: achieved FLOP/s over arithmetic intensity below the measured ceilings ({'; '.join(tops)}){left}"


def _ceilings(roof: Roof) -> str:
    """A roof's ceilings in words, for an alternative text, which the template escapes."""
    flops = "unknown" if roof.flop_per_s is None else engineering(roof.flop_per_s, "FLOP/s")
    moved = "unknown" if roof.bytes_per_s is None else engineering(roof.bytes_per_s, "B/s")
    return f"{roof.group.row['precision']}: {flops}, {moved}"


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, COLUMNS)
    cells = placed(frame)
    answer = [*reached_sentences(cells), *far_sentence(cells), *over_sentence(cells), *apart_sentences(roofs(cells))]
    if not answer and len(frame):
        answer = ["No cell has both its FLOPs and bytes and the ceilings of its device, so none can be placed."] if (
            frame["status"] == "complete"
        ).any() else []  # fmt: skip
    by_device = groups(cells, [*machine_columns(cells), "device"])
    return fill(
        "subjects/roofline/page.md.j2", page, "Roofline",
        answer=[*answer, *unplaced_sentences(frame)],
        figures=draw_each(by_device, page.figures, "roofline", _draw),
        cells=cells_table(cells),
        ceilings=ceilings_table(roofs(cells), cells),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on how close each cell comes to its device's limits."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
