"""What a page says of agreement: on how many items it is, which type computed them, and why it is unknown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells.naming import out_of
from analysis.page.columns import Column
from analysis.stats.estimate import known
from analysis.text import MISSING, is_missing, number, share


def over(row: Any) -> str:
    """How many items were compared, to be said after a figure; empty where that was not recorded."""
    n = known(row.get("n_compared"))
    return "" if n is None else f" (n={int(n)})"


def top1_column() -> Column:
    """The share of items with the reference's best class, and of how many."""
    column = "top1_agreement_ratio"
    return Column(
        "top-1 agreement",
        lambda row: share(row.get(column)) + ("" if is_missing(row.get(column)) else over(row)), [column],
    )  # fmt: skip


def rounding_column() -> Column:
    """The error of a cell's answers over what rounding in its precision explains."""

    def show(row: Any) -> str:
        found, explained = known(row.get("rms_rel_diff")), known(row.get("rounding_rel_diff"))
        return MISSING if found is None or not explained else number(found / explained)

    return Column("error over what rounding explains", show, ["rms_rel_diff"])


def n_compared_told(frame: pd.DataFrame) -> str:
    """``64``, or ``8 to 64``: the items that the cells' answers were compared on; empty where no cell says so."""
    n = frame["n_compared"].dropna()
    if not len(n):
        return ""
    return f"{int(n.min())}" if n.min() == n.max() else f"{int(n.min())} to {int(n.max())}"


def other_types(frame: pd.DataFrame) -> list[str]:
    """Cells whose products are computed in another type than their precision stands for."""
    first = frame["computed_dtype"].fillna("").astype(str).str.split(", ").str[0]
    # As torch writes the types that precisions are named after; tf32, which torch has not, is a name of its own.
    own = frame["precision"].astype(str).str.replace("-weights$", "", regex=True)
    own = own.str.replace("^fp", "float", regex=True).str.replace("^bf", "bfloat", regex=True)
    # Of quantised networks the rest may be most of the work, which a share of its own tells.
    is_quantised = frame["precision"].astype(str).str.match("int8|fp8").fillna(False)
    mask = (first != "") & (first != own) & ~is_quantised
    if not mask.any():
        return []
    cells = frame[mask].assign(first=first[mask]).groupby(["precision", "first"], sort=True).size()
    told = ", ".join(f"{precision} in {kind} ({n})" for (precision, kind), n in cells.items())
    return [f"{out_of(mask)} computed matrix products in a type other than that of their precision: {told}."]


def without_agreement(done: pd.DataFrame) -> list[str]:
    """Why figures of agreement are missing though there was a reference, once for each reason."""
    reasons = done["agreement_reason"].dropna().astype(str)
    return [
        f"Agreement could not be judged in {out_of(done['agreement_reason'] == reason)}: {reason}."
        for reason in sorted(reasons.unique())
    ]
