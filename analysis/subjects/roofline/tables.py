"""The tables of the report on the roofline, as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.cells.rows import Row
from analysis.page.columns import Column, cell_table, column_table, in_word, names_of, part, plain, scaled, valued
from analysis.stats.estimate import Figure, known
from analysis.subjects.roofline.quantities import BANDWIDTH, COMPUTE, roof_columns, roofs

LIMITED_BY = {COMPUTE: "the FLOP/s of a matrix product", BANDWIDTH: "the bandwidth of a copy"}


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
        valued("achieved (GFLOP/s)", _achieved),
        plain("achieved (GB/s)", "achieved_bytes_per_s", 1e-9),
        plain("attainable (GFLOP/s)", "attainable_flop_per_s", 1e-9),
        part("share of FLOP/s", "flop_share_ratio"),
        part("share of bandwidth", "bandwidth_share_ratio"),
        part("share of the limit", "reached_ratio"),
        plain("per step (GFLOP)", "flops_per_step", 1e-9),
        plain("per step (GB)", "bytes_per_step", 1e-9),
    ], lead=[in_word("limit that binds", "binding")])  # fmt: skip


def _achieved(row: Row) -> Figure:
    """GFLOP/s with the interval of the median step over which they were taken, where that is known."""
    steps = (known(row[c]) for c in ("step_median_s", "step_median_high_s", "step_median_low_s"))
    value, low, high = (None if step is None else row["flops_per_step"] / step * 1e-9 for step in steps)
    return Figure(value=row["achieved_flop_per_s"] * 1e-9 if value is None else value, low=low, high=high)
