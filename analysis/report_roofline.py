"""How close each cell comes to what the device can do: ``python analysis/report_roofline.py``.

Numbers come from ``roofline.py``, figures from ``roofline_figures.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

import pandas as pd

from analysis.cells.groups import Group, groups, header, line_columns, machine_columns, task_columns, words
from analysis.cells.naming import label, present
from analysis.cells.rows import Row, records
from analysis.page.cell_table import Column, cell_table, part, plain, scaled
from analysis.page.command_line import run_main, run_report
from analysis.page.sections import counted, draw_each, fill, identified, listed, titled
from analysis.read.sweeps import Page
from analysis.roofline import (
    APART_RATIO,
    BANDWIDTH,
    COLUMNS,
    COMPUTE,
    FAR_RATIO,
    Roof,
    placed,
    roof_columns,
    roofs,
    unplaced,
)
from analysis.roofline_figures import MAX_PANELS, draw_rooflines, engineering
from analysis.text import MISSING, escape, is_missing, number, share, significant, table

NAME = "report_roofline"
MAX_SENTENCES = 8
_LIMITS = {COMPUTE: "the FLOP/s of a matrix product", BANDWIDTH: "the bandwidth of a copy"}
_REASONS = {
    "compiled": "torch.compile hides its operations from the counter",
    "not counted": "the counter knows none of its operations",
    "no step time": "the time of a single step was not measured",
}


def reached_sentences(cells: pd.DataFrame) -> list[str]:
    """For each task, device and precision which limit binds, and how much of it the best cell reaches."""
    said = []
    known = cells[cells["reached_ratio"].notna()]
    names = [*task_columns(known), "device", "precision"]
    for group in groups(known, names):
        best = records(group.cells.loc[[group.cells["reached_ratio"].idxmax()]])[0]
        counts = group.cells["binding"].value_counts()
        among = len(counts) > 1
        limits = [f"{_LIMITS[c]}{f' for {counted(int(counts[c]))}' if among else ''}" for c in sorted(counts.index)]
        apart = [c for c in line_columns(known) if c not in names]
        setting = escape(label(best, [*apart, *present(known, ["batch_size"])]))
        reached = share(best["reached_ratio"])
        said.append(f"{escape(group.name)}: the limit is {listed(limits)}; the best, {setting}, reaches **{reached}**.")
    left = len(said) - MAX_SENTENCES
    return (
        said if left <= 0 else [*said[:MAX_SENTENCES], f"{counted(left, 'more group')} of cells: see the table below."]
    )


def apart_sentences(found: Sequence[Roof]) -> list[str]:
    """Whose ceilings were measured differently high, which says that the machine was busy meanwhile."""
    said = []
    for roof in found:
        spread = roof.group.cells["ceiling_spread_ratio"].max()
        if spread > APART_RATIO:
            said.append(f"The ceilings of {escape(roof.group.name)} were measured several times and differ by "
                        f"{significant(spread, 2)} times; the highest counts.")  # fmt: skip
    return said


def far_sentence(cells: pd.DataFrame) -> list[str]:
    """How many cells reach neither limit, and that something else holds them back."""
    known = cells["reached_ratio"].notna()
    far = int((cells["reached_ratio"] < FAR_RATIO).sum())
    if not far:
        return []
    what = "launching operations, waiting, or operations that use the device badly"
    return [f"{far} of {counted(int(known.sum()))} reach less than {100 * FAR_RATIO:g} % of their limit: neither holds "
            f"them back, but {what}."]  # fmt: skip


def over_sentence(cells: pd.DataFrame) -> list[str]:
    """That a cell above its roof is no mistake of the device."""
    over = int((cells["reached_ratio"] > 1.0).sum())
    return [] if not over else [
        f"{counted(over)} reach{'es' if over == 1 else ''} more than the roof: bytes are counted once for each "
        "operation, and a cache serves some of them faster than memory."
    ]  # fmt: skip


def unplaced_sentences(frame: pd.DataFrame) -> list[str]:
    """How many cells have no place in the figure, and why."""
    return [f"{counted(n)} left out: {_REASONS[reason]}." for reason, n in unplaced(frame).items()]


def cells_table(cells: pd.DataFrame) -> str:
    """What each cell achieves, its shares of both ceilings, and which of them binds."""
    ends = ("step_median_s", "step_median_low_s", "step_median_high_s")

    def achieved(row: Row) -> str:
        """As many digits as the median step has, over which it was taken."""
        flops = [None if is_missing(row[c]) else row["flops_per_step"] / row[c] * 1e-9 for c in ends]
        return number(*flops) if flops[0] is not None else scaled(row["achieved_flop_per_s"], 1e-9)

    lead = [Column(title="limit that binds", show=lambda r: "" if is_missing(r["binding"]) else r["binding"])]
    columns = [
        plain("intensity (FLOP/B)", "intensity_flop_per_byte"),
        Column(title="achieved (GFLOP/s)", show=achieved),
        plain("achieved (GB/s)", "achieved_bytes_per_s", 1e-9),
        plain("at most (GFLOP/s)", "attainable_flop_per_s", 1e-9),
        part("share of FLOP/s", "flop_share_ratio"),
        part("share of bandwidth", "bandwidth_share_ratio"),
        part("reached of the limit", "reached_ratio"),
        plain("per step (GFLOP)", "flops_per_step", 1e-9),
        plain("per step (GB)", "bytes_per_step", 1e-9),
    ]  # fmt: skip
    return cell_table(cells, columns, lead=lead)


def ceilings_table(found: Sequence[Roof], cells: pd.DataFrame) -> str:
    """The ceilings of each device and precision, and the intensity from which on FLOP/s binds."""
    if not found:
        return ""
    names = roof_columns(cells)
    rows = []
    for roof in found:
        ridge = roof.ridge_flop_per_byte
        rows.append([
            *words(roof.group.row, names), scaled(roof.flop_per_s, 1e-9), scaled(roof.bytes_per_s, 1e-9),
            MISSING if ridge is None else significant(ridge),
        ])  # fmt: skip
    headers = [*(header(c) for c in names), "matrix product (GFLOP/s)", "copy (GB/s)", "ridge (FLOP/B)"]
    return table(headers, rows, n_left=len(names))


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
        f"{NAME}.md.j2", page, "Roofline",
        answer=[*answer, *unplaced_sentences(frame)],
        figures=draw_each(by_device, page.figures, "roofline", _draw),
        cells=cells_table(cells),
        ceilings=ceilings_table(roofs(cells), cells),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on how close each cell comes to its device's limits."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)


if __name__ == "__main__":
    sys.exit(run_main(main))
