"""How close each cell comes to what the device can do."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import groups, line_columns, machine_columns, task_columns
from analysis.cells.naming import label, present
from analysis.cells.rows import Row, extreme
from analysis.page.columns import Column, cell_table, column_table, in_word, names_of, part, plain, scaled
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.roofline.figures import draw_rooflines
from analysis.subjects.roofline.quantities import BANDWIDTH, COLUMNS, COMPUTE, placed, roof_columns, roofs, unplaced
from analysis.text import counted, escape, is_missing, listed, number, share, significant

MAX_SENTENCES = 8
"""Groups of cells told one by one; the table has all."""
APART_RATIO = 1.1
"""Ceilings of one device that differ by more than this were not all measured on an idle machine."""
FAR_RATIO = 0.2
"""A cell that reaches less than this of the limit that binds is held back by something else."""
_LIMITS = {COMPUTE: "the FLOP/s of a matrix product", BANDWIDTH: "the bandwidth of a copy"}
_REASONS = {
    "compiled": "torch.compile hides its operations from the counter",
    "not counted": "the counter knows none of its operations",
    "no step time": "the time of a single step was not measured",
}


def answer(frame: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """What binds and how close ``cells``, those of ``placed``, come, or that none of the frame can be placed."""
    said = [*reached_sentences(cells), *outside_sentences(cells["reached_ratio"]), *apart_sentences(cells)]
    if not said and (frame["status"] == "complete").any():
        said = ["No cell has both its FLOPs and bytes and the ceilings of its device, so none can be placed."]
    return [*said, *(f"{counted(n)} left out: {_REASONS[reason]}." for reason, n in unplaced(frame).items())]


def reached_sentences(cells: pd.DataFrame) -> list[str]:
    """For each task, device and precision which limit binds, and how much of it the best cell reaches."""
    said = []
    known = cells[cells["reached_ratio"].notna()]
    names = [*task_columns(known), "device", "precision"]
    told = [*line_columns(known, without=names), *present(known, ["batch_size"])]
    for group in groups(known, names):
        best = extreme(group.cells, group.cells["reached_ratio"], largest=True) or group.row
        counts = group.cells["binding"].value_counts().sort_index()
        limits = [_LIMITS[c] + (f" for {counted(n)}" if len(counts) > 1 else "") for c, n in counts.items()]
        said.append(f"{escape(group.name)}: the limit is {listed(limits)}; the best, {escape(label(best, told))}, "
                    f"reaches **{share(best['reached_ratio'])}**.")  # fmt: skip
    left = len(said) - MAX_SENTENCES
    more = [f"{counted(left, 'more group')} of cells: see the table below."] if left > 0 else []
    return [*said[:MAX_SENTENCES], *more]


def apart_sentences(cells: pd.DataFrame) -> list[str]:
    """Whose ceilings were measured differently high, which says that the machine was busy meanwhile."""
    spreads = [(group.name, group.cells["ceiling_spread_ratio"].max()) for group in groups(cells, roof_columns(cells))]
    return [f"The ceilings of {escape(name)} were measured several times and differ by {significant(spread, 2)} times; "
            "the highest counts." for name, spread in spreads if spread > APART_RATIO]  # fmt: skip


def outside_sentences(reached: pd.Series) -> list[str]:
    """How many cells something else holds back than the limits; that one above its roof is no mistake of the device."""
    said = []
    if far := int((reached < FAR_RATIO).sum()):
        less = f"{far} of {counted(int(reached.count()))} reach less than {100 * FAR_RATIO:g} % of their limit"
        what = "launching operations, waiting, or operations that use the device badly"
        said.append(f"{less}: neither holds them back, but {what}.")
    if over := int((reached > 1.0).sum()):
        more = f"{counted(over)} reach{'es' if over == 1 else ''} more than the roof"
        why = "bytes are counted once for each operation, and a cache serves some of them faster than memory"
        said.append(f"{more}: {why}.")
    return said


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
