"""The sentences that the report on the roofline begins with."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import groups, line_columns, task_columns
from analysis.cells.naming import label, present
from analysis.cells.rows import records
from analysis.subjects.roofline.quantities import APART_RATIO, BANDWIDTH, COMPUTE, FAR_RATIO, Roof, roofs, unplaced
from analysis.text import counted, escape, listed, share, significant

MAX_SENTENCES = 8
"""Groups of cells told one by one; the table has all."""
_LIMITS = {COMPUTE: "the FLOP/s of a matrix product", BANDWIDTH: "the bandwidth of a copy"}
_REASONS = {
    "compiled": "torch.compile hides its operations from the counter",
    "not counted": "the counter knows none of its operations",
    "no step time": "the time of a single step was not measured",
}


def answer(frame: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """What binds and how close the cells come, or that none can be placed.

    Args:
        frame: All cells.
        cells: Of ``placed``.
    """
    said = [*reached_sentences(cells), *far_sentence(cells), *over_sentence(cells), *apart_sentences(roofs(cells))]
    if not said and (frame["status"] == "complete").any():
        said = ["No cell has both its FLOPs and bytes and the ceilings of its device, so none can be placed."]
    return [*said, *unplaced_sentences(frame)]


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
