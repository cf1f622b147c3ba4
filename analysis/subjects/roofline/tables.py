"""."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import header, words
from analysis.cells.rows import Row
from analysis.page.cell_table import Column, cell_table, part, plain, scaled
from analysis.subjects.roofline.quantities import (
    BANDWIDTH,
    COMPUTE,
    Roof,
    roof_columns,
)
from analysis.text import MISSING, is_missing, number, significant, table

_LIMITS = {COMPUTE: "the FLOP/s of a matrix product", BANDWIDTH: "the bandwidth of a copy"}


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
