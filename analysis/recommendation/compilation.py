"""What a compilation is worth: after how many items it has taken less time in all than the same cell without it."""

from __future__ import annotations

import math

import pandas as pd

from analysis.cells.identity import stratum_columns
from analysis.cells.naming import equals
from analysis.cells.rows import Row
from analysis.stats.estimate import known
from analysis.text import escape, number, significant

WON_BACK, WITHOUT = "won_back_items", "uncompiled_items_per_s"
"""Columns added by ``with_compilation``."""


def with_compilation(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials with what compiling each cell is worth.

    A compilation of c seconds that makes a step of a seconds one of b is won back after c / (a - b) steps. The step
    without it is that of the cell alike in all but ``compile``; of an implementation that is always compiled, such as
    ``fused``, that of the eager one.

    Returns:
        The rows with ``won_back_items``, infinite where the step is no shorter, and ``uncompiled_items_per_s``; both
        null where nothing was compiled, or no cell alike was measured without.
    """
    # Of each cell's partner that is not compiled, in seconds.
    alike = [c for c in (*stratum_columns(frame), "batch_size") if c != "compile"]
    is_plain = equals(frame, "status", "complete") & equals(frame, "compile", "none") & frame["compile_s"].isna()
    is_eager = is_plain & equals(frame, "implementation", "eager")
    of_eager = _shortest(frame, is_eager, [c for c in alike if c != "implementation"])
    steps = _shortest(frame, is_plain, alike).fillna(of_eager).where(frame["compile_s"].notna())
    gained = steps - frame["step_median_s"]
    n_steps = (frame["compile_s"] / gained).mask(gained <= 0, math.inf)
    items = frame["items_per_step"]
    return frame.assign(**{WON_BACK: n_steps * items, WITHOUT: (items / steps).mask(n_steps.isna())})


def _shortest(frame: pd.DataFrame, mask: pd.Series, columns: list[str]) -> pd.Series:
    """The shortest step of the cells of a mask alike in the columns, for each row of the frame."""
    steps = frame["step_median_s"].where(mask)
    return steps.groupby([frame[name] for name in columns], dropna=False).transform("min")


def told(row: Row, item: str) -> str | None:
    """What the compilation of a row takes and when it is won back, as a sentence; None where that is not known."""
    compile_s, items, without = (known(row.get(c)) for c in ("compile_s", WON_BACK, WITHOUT))
    if compile_s is None or items is None or without is None or not math.isfinite(items):
        return None
    item = escape(item)
    said = (f"Its compilation takes {significant(compile_s)} s, which pays off after about {significant(items)} {item}"
            f" compared with the same cell without compilation ({number(without)} {item}/s)")  # fmt: skip
    epochs, n_train = known(row.get("epochs_run")), known(row.get("n_train_items"))
    if epochs is None or n_train is None:
        return f"{said}."
    n_trained = epochs * n_train
    verdict = "so it finishes sooner without compilation" if n_trained < items else "so compilation shortens it"
    return f"{said}; this training processed {significant(n_trained)}, {verdict}."
