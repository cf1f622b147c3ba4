"""The sentences that the report on the roofline begins with."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import groups, line_columns, task_columns
from analysis.cells.naming import label, present
from analysis.cells.rows import extreme
from analysis.contract.plausible import CEILING_AGAIN
from analysis.subjects.roofline.quantities import roof_columns, unplaced
from analysis.subjects.roofline.tables import LIMITED_BY
from analysis.text import counted, escape, listed, share, significant

MAX_SENTENCES = 8
"""Groups of cells told one by one; the table has all."""


APART_RATIO = 1.1
"""Ceilings of one device that differ by more than this were not all measured on an idle machine."""


FAR_RATIO = 0.2
"""A cell that reaches less than this of the limit that binds is held back by something else."""


_REASONS = {
    "compiled": "torch.compile hides their operations from the counter",
    "not counted": "the counter knows none of their operations",
    "bytes hidden": "torch.compile hides how many bytes they move",
    "bytes unknown": "how many bytes they move is unknown",
    "no step time": "the median step is unknown",
}


def answer(frame: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """What binds and how close ``cells``, those of ``placed``, come, or that none of the frame can be placed."""
    said = [*reached_sentences(cells), *outside_sentences(cells), *again_sentences(cells), *apart_sentences(cells)]
    if not said and (frame["status"] == "complete").any():
        said = ["No cell has FLOPs, bytes and the ceilings of its device, so none can be placed."]
    return [*said, *(f"{counted(n)} left out: {_REASONS[reason]}." for reason, n in unplaced(frame).items())]


def reached_sentences(cells: pd.DataFrame) -> list[str]:
    """For each task, device and precision which limit binds, and how much of it is reached at most."""
    said = []
    known = cells[cells["reached_ratio"].notna()]
    names = [*task_columns(known), "device", "precision"]
    told = [*line_columns(known, without=names), *present(known, ["batch_size"])]
    for group in groups(known, names):
        best = extreme(group.cells, group.cells["reached_ratio"], largest=True) or group.row
        counts = group.cells["binding"].value_counts().sort_index()
        limits = [LIMITED_BY[c] + (f" for {counted(n)}" if len(counts) > 1 else "") for c, n in counts.items()]
        said.append(f"{escape(group.name)}: the limit is {listed(limits)}; {escape(label(best, told))} comes closest,"
                    f" at **{share(best['reached_ratio'])}** of it.")  # fmt: skip
    left = len(said) - MAX_SENTENCES
    more = [f"{counted(left, 'more group')} of cells in the table below."] if left > 0 else []
    return [*said[:MAX_SENTENCES], *more]


def apart_sentences(cells: pd.DataFrame) -> list[str]:
    """Whose ceilings were measured differently high, which says that the machine was busy meanwhile."""
    spreads = [(group.name, group.cells["ceiling_spread_ratio"].max()) for group in groups(cells, roof_columns(cells))]
    return [f"The ceilings of {escape(name)} were measured several times and differ by a factor of"
            f" {significant(spread)}; the highest counts." for name, spread in spreads
            if spread > APART_RATIO]  # fmt: skip


def again_sentences(cells: pd.DataFrame) -> list[str]:
    """Of how many cells the ceilings were measured a second time, as they came out above the first."""
    again = cells["limits_note"].fillna("").str.contains(CEILING_AGAIN, regex=False)
    n = int(again.sum())
    told = f"{counted(n)} came out above the ceilings, which were measured again; the higher values count."
    return [told] if n else []


def outside_sentences(cells: pd.DataFrame) -> list[str]:
    """How many cells something else holds back than the limits; that one above its roof is no mistake of the device."""
    said, reached, over = [], cells["reached_ratio"], int(cells["is_above_roof"].sum())
    if far := int((reached < FAR_RATIO).sum()):
        less = f"{far} of {counted(int(reached.count()) + over)} reach less than {100 * FAR_RATIO:g} % of their limit"
        what = "launch overhead, waiting, or operations that use the device poorly"
        said.append(f"{less}: the bottleneck is {what} instead.")
    if over:
        more = f"{counted(over)} came out above the roof and {'has' if over == 1 else 'have'} no share of it"
        why = "the ceilings were measured while the machine was busy, or a cache serves bytes faster than memory does"
        said.append(f"{more}: {why}.")
    return said
