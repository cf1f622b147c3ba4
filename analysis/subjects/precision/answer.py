"""The sentences that the report on precisions begins with."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.subjects.precision.quantities import Overview
from analysis.subjects.precision.tables import ratio_text
from analysis.text import escape, significant


def answer(seen: Sequence[Overview], reference: str) -> list[str]:
    """One sentence for each task, device and precision, fastest first within a task."""
    return [
        _sentence(overview, reference)
        for task in by_task(seen)
        for overview in sorted(task.members, key=lambda o: -(o.speed.value or 0))
    ]


def _sentence(o: Overview, reference: str) -> str:
    cells = "one cell" if o.n_cells == 1 else f"{o.n_cells} cells, {ratio_text(o.slowest)} to {ratio_text(o.fastest)}"
    told = f"{escape(o.task)}: " if o.task else ""
    told += (
        f"**{escape(o.precision)} on {escape(o.place)} runs at {o.speed.full_text} times the speed of fp32** ({cells})"
    )
    told += "" if o.memory is None else f", takes {ratio_text(o.memory)} times the memory"
    told += "" if o.energy is None else f", {ratio_text(o.energy)} times the energy per item"
    if o.best.value is not None and o.n_cells > 1:
        told += f"; each at the batch size of its highest median, it is {o.best.full_text} times"
    top1, softmax = o.worst["top1_agreement_ratio"], o.worst["max_softmax_diff"]
    if top1 is not None:
        of_items = "every item" if top1 == 1 else f"{100 * top1:.2f} % of the items at least"
        told += f". Its best class is that of the {escape(reference)} for {of_items}"
        told += f", class probabilities are off by {significant(softmax)} at most" if softmax is not None else ""
    return told + "."
