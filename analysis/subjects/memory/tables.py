"""The tables of the report on memory, as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import header, line_columns, words
from analysis.page.cell_table import Column, between, cell_table, interval, part, plain, whole
from analysis.subjects.memory.quantities import SLOPES, Fit, leaks, peaks, room_for
from analysis.text import MISSING, escape, gibibytes, is_missing, number, significant, table

MIB = 2**-20


def peaks_table(frame: pd.DataFrame) -> str:
    """The static part and the peaks of every cell that ran."""
    columns = [
        Column(title=title, show=lambda row, c=column: gibibytes(row[c]), needs=[column])  # type: ignore[misc]
        for title, column in (
            ("device peak, in tensors (GiB)", "device_peak_allocated_bytes"),
            ("device peak, reserved (GiB)", "device_peak_reserved_bytes"),
            ("process peak (GiB)", "peak_rss_bytes"),
        )
    ]
    told = part("share of all", "capacity_share_ratio")
    return cell_table(peaks(frame), [plain("weights and buffers (MiB)", "static_bytes", MIB), *columns, told])


def fits_table(frame: pd.DataFrame, fits: list[Fit]) -> str:
    """The largest batch that fits and the smallest that does not, for each way of doing a task."""
    if not fits:
        return ""
    names = line_columns(frame)
    headers = [*(header(c) for c in names), "largest batch that ran", "peak there (GiB)", "of (GiB)",
               "smallest out of memory", "a further item takes (MiB)", "95 % interval (MiB)",
               "room for about"]  # fmt: skip
    rows = []
    for fit in fits:
        line, ends = fit.growth, (None, None)
        if line.per_item_bytes is not None and line.low is not None and line.high is not None:
            ends = (line.low * MIB, line.high * MIB)  # type: ignore[assignment]
        value = None if line.per_item_bytes is None else line.per_item_bytes * MIB
        between_ends = MISSING if ends[0] is None else f"{number(ends[0], *ends)} to {number(ends[1], *ends)}"
        rows.append([
            *words(fit.row, names), whole(fit.largest), gibibytes(fit.row.get("peak_bytes")),
            gibibytes(fit.row.get("capacity_bytes")), "none" if fit.smallest_oom is None else whole(fit.smallest_oom),
            number(value, *ends), between_ends, _about(room_for(fit)),
        ])  # fmt: skip
    return table(headers, rows, n_left=len(names))


def _about(batch: int | None) -> str:
    return MISSING if batch is None else significant(batch, 2)


def leaks_table(frame: pd.DataFrame) -> str:
    """The verdict on each cell that was looked at, with the slopes it rests on."""
    lead = [
        Column(title="verdict", show=lambda r: escape(r["leak_verdict"])),
        Column(title="shapes", show=lambda r: "" if is_missing(r["leak_shapes"]) else escape(r["leak_shapes"])),
    ]
    columns = []
    for kind, begin in SLOPES.items():
        ends = (f"{begin}_bytes_per_step", f"{begin}_low_bytes_per_step", f"{begin}_high_bytes_per_step")
        columns.append(between(f"{kind} (KiB/step)", ends, 2**-10))
        columns.append(interval(f"{kind}, 95 % interval (KiB/step)", ends, 2**-10))
    return cell_table(leaks(frame), columns, lead=lead)
