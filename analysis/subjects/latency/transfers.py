"""Copies between host and device in numbers: their share of a step, what overlapping gains, their bandwidths."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import groups, line_columns, machine_columns
from analysis.cells.rows import complete

BANDWIDTHS = {"h2d_pageable_bytes_per_s": "to device, pageable", "h2d_pinned_bytes_per_s": "to device, pinned",
              "h2d_nonblocking_bytes_per_s": "to device, pinned, non-blocking",
              "d2h_pageable_bytes_per_s": "to host, pageable", "d2h_pinned_bytes_per_s": "to host, pinned"}  # fmt: skip
_SERIAL = ["copy_in_s", "compute_s", "copy_out_s"]
COPY_COLUMNS = (*_SERIAL, "overlapped_step_s", "copy_share_ratio", *BANDWIDTHS, "unified_memory")


def transfers(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells whose copies and computation were timed, one for each batch size and way of doing it.

    The scenario and the arrival rate do not change a copy, so only the first of cells that differ in them is kept.
    Added are ``serial_step_s``, copies and computation one after the other, and ``overlap_speedup``, that over the step
    with all overlapped (NaN where it was not measured).
    """
    cells = complete(frame)
    cells = cells[cells[_SERIAL].notna().all(axis=1)]
    names = [*line_columns(cells, without=["scenario"]), "batch_size"]
    cells = cells.drop_duplicates(names) if len(cells) else cells
    serial = cells[_SERIAL].astype("float64").sum(axis=1)
    return cells.assign(serial_step_s=serial, overlap_speedup=serial / cells["overlapped_step_s"])


def bandwidths(frame: pd.DataFrame) -> pd.DataFrame:
    """Bytes per second of large copies: the first cell of each machine and device, with ``BANDWIDTHS`` of all of them.

    Each worker process measures them once; of several workers it is the median.
    """
    names = list(BANDWIDTHS)
    cells = frame[frame[names].notna().any(axis=1)]
    rows = [{**g.row, **g.cells[names].astype("float64").median()}
            for g in groups(cells, [*machine_columns(cells), "device"])]  # fmt: skip
    return pd.DataFrame(rows, columns=list(cells.columns))
