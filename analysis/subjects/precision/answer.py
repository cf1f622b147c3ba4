"""The sentences that the report on precisions begins with."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.groups import by_task
from analysis.subjects.precision.quantities import Overview
from analysis.subjects.precision.tables import ratio_text
from analysis.text import escape, listed, significant


def answer(seen: Sequence[Overview], reference: str) -> list[str]:
    """One sentence for each task, device and precision, fastest first within a task."""
    return [
        _sentence(overview, reference)
        for task in by_task(seen)
        for overview in sorted(task.members, key=lambda o: -(o.speed.value or 0))
    ]


def _sentence(o: Overview, reference: str) -> str:
    cells = "one cell" if o.n_cells == 1 else f"{o.n_cells} cells, {ratio_text(o.slowest)}x to {ratio_text(o.fastest)}x"
    told = f"{escape(o.task)}: " if o.task else ""
    told += f"**{escape(o.precision)} on {escape(o.place)} runs at {o.speed.factor_text} the speed of fp32** ({cells})"
    costs = ((o.memory, "the memory"), (o.energy, "the energy per item"))
    used = [f"{ratio_text(ratio)}x {what}" for ratio, what in costs if ratio is not None]
    told += f" and uses {listed(used)}" if used else ""
    if o.best.value is not None and o.n_cells > 1:
        told += f"; with each at its best batch size, it runs at {o.best.factor_text} the speed"
    top1, softmax = o.worst["top1_agreement_ratio"], o.worst["max_softmax_diff"]
    if top1 is not None:
        of_items = "every item" if top1 == 1 else f"{100 * top1:.2f} % of the items or more"
        told += f". Its best class is that of the {escape(reference)} for {of_items}"
        told += f", and class probabilities differ by at most {significant(softmax)}" if softmax is not None else ""
    return told + "."
