"""The sentences that the report on precisions begins with."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.subjects.precision.quantities import Overview
from analysis.subjects.precision.tables import ratio_text
from analysis.text import escape, significant


def answer(overviews: Sequence[Overview], reference: str) -> list[str]:
    """One sentence for each task, device and precision, fastest first within a task."""
    order = {task: i for i, task in enumerate(dict.fromkeys(o.task for o in overviews))}
    ranked = sorted(overviews, key=lambda o: (order[o.task], -(o.speed.value or 0)))
    return [_sentence(o, reference) for o in ranked]


def _sentence(o: Overview, reference: str) -> str:
    cells = "one cell" if o.n_cells == 1 else f"{o.n_cells} cells, {ratio_text(o.slowest)} to {ratio_text(o.fastest)}"
    told = (
        f"{f'{escape(o.task)}: ' if o.task else ''}**{escape(o.precision)} on {escape(o.place)} runs at {o.speed.text} "
    )
    told += f"times the speed of fp32** ({cells})"
    more = [f"takes {ratio_text(o.memory)} times the memory" if o.memory is not None else "",
            f"{ratio_text(o.energy)} times the energy per item" if o.energy is not None else ""]  # fmt: skip
    told += "".join(f", {m}" for m in more if m)
    if o.best.value is not None and o.n_cells > 1:
        told += f"; at the best batch size of each it is {o.best.text} times"
    top1, softmax = o.worst["top1_agreement_ratio"], o.worst["max_softmax_diff"]
    if top1 is not None:
        of_items = "every item" if top1 == 1 else f"{100 * top1:.2f} % of the items at least"
        told += f". Its best class is that of the {escape(reference)} for {of_items}"
        told += f", class probabilities are off by {significant(softmax, 2)} at most" if softmax is not None else ""
    return told + "."
