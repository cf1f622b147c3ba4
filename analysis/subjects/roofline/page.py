"""How close each cell comes to what the device can do."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import groups, machine_columns
from analysis.cells.rows import Row
from analysis.page.columns import Column, cell_table, column_table, in_word, names_of, part, plain, scaled
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.roofline.answer import answer
from analysis.subjects.roofline.figures import draw_rooflines
from analysis.subjects.roofline.quantities import COLUMNS, placed, roof_columns, roofs
from analysis.text import is_missing, number


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


def ceilings_table(cells: pd.DataFrame) -> str:
    """The ceilings of each device and precision, and the intensity from which on FLOP/s binds."""
    words = names_of(roof_columns(cells), lambda roof: roof.group.row)
    return column_table(roofs(cells), [
        *words,
        Column("matrix product (GFLOP/s)", lambda roof: scaled(roof.flop_per_s, 1e-9)),
        Column("copy (GB/s)", lambda roof: scaled(roof.bytes_per_s, 1e-9)),
        Column("ridge (FLOP/B)", lambda roof: scaled(roof.ridge_flop_per_byte)),
    ], n_left=len(words))  # fmt: skip


def cells_table(cells: pd.DataFrame) -> str:
    """What each cell achieves, its shares of both ceilings, and which of them binds."""
    return cell_table(cells, [
        plain("intensity (FLOP/B)", "intensity_flop_per_byte"),
        Column("achieved (GFLOP/s)", _achieved),
        plain("achieved (GB/s)", "achieved_bytes_per_s", 1e-9),
        plain("at most (GFLOP/s)", "attainable_flop_per_s", 1e-9),
        part("share of FLOP/s", "flop_share_ratio"),
        part("share of bandwidth", "bandwidth_share_ratio"),
        part("reached of the limit", "reached_ratio"),
        plain("per step (GFLOP)", "flops_per_step", 1e-9),
        plain("per step (GB)", "bytes_per_step", 1e-9),
    ], lead=[in_word("limit that binds", "binding")])  # fmt: skip


def _achieved(row: Row) -> str:
    """As many digits as the median step has, over which it was taken."""
    steps = (row[c] for c in ("step_median_s", "step_median_low_s", "step_median_high_s"))
    flops = [None if is_missing(step) else row["flops_per_step"] / step * 1e-9 for step in steps]
    return number(*flops) if flops[0] is not None else scaled(row["achieved_flop_per_s"], 1e-9)


main = report_main("roofline", build, COLUMNS, "Write the report on how close each cell comes to its device's limits.")
