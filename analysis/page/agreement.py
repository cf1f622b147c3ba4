"""Whether the answers of cells are those of the reference, in sentences for readers of a report."""

from __future__ import annotations

import pandas as pd

from analysis.cells.naming import equals, labels, out_of
from analysis.text import some

MIN_AGREEMENT_RATIO = 0.99
"""Share of items with the reference's best class under which a cell's answers count as different."""
WRONG = "wrong-result"
"""Status reason of a cell whose answer its precision does not explain (``sweeps/cell/outcome.py``)."""
MAX_NAMED = 8


def wrong_answers(frame: pd.DataFrame) -> list[str]:
    """Cells that ran and gave a wrong answer: whatever their speed, nobody should choose them.

    Args:
        frame: Trials, as ``load_sweep`` gives them.
    """
    is_wrong = equals(frame, "status_reason", WRONG)
    if not is_wrong.any():
        return []
    what = [c for c in ("pipeline", "model", "implementation", "device", "precision") if c in frame]
    names = list(dict.fromkeys(labels(frame[is_wrong], what)))
    worst = frame.loc[is_wrong, "max_rel_diff"].max()
    off = "" if pd.isna(worst) else f", by up to {100 * worst:.2g} % of the largest value"
    measured = is_wrong[is_wrong | (frame["status"] == "complete")]
    return [f"{out_of(measured)} gave a wrong answer{off}, which their precision does not explain; they are"
            f" recommended nowhere, whatever their speed: {some(names, MAX_NAMED, '; ')}."]  # fmt: skip


def other_answers(done: pd.DataFrame) -> list[str]:
    """Cells whose answers are not wrong and differ from the reference's.

    Args:
        done: Complete trials.
    """
    said = []
    nonfinite, differs = done["n_nonfinite"] > 0, done["top1_agreement_ratio"] < MIN_AGREEMENT_RATIO
    if nonfinite.any():
        said.append(f"{out_of(nonfinite)} gave NaN or infinity where the reference has none.")
    if differs.any():
        worst = done.loc[done["top1_agreement_ratio"].idxmin()]
        said.append(f"{out_of(differs)} agreed with the reference on the best class for fewer than 99 % of the items;"
                    f" the fewest, {100 * worst['top1_agreement_ratio']:.1f} %, on {worst['device']} in"
                    f" {worst['precision']}.")  # fmt: skip
    return said
