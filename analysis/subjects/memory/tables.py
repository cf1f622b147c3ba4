"""The tables of the report on memory, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import line_columns
from analysis.page.columns import (
    Column,
    between,
    cell_table,
    column_table,
    in_word,
    interval,
    names_of,
    part,
    plain,
    whole,
)
from analysis.stats.estimate import Figure
from analysis.subjects.memory.quantities import SLOPES, Fit, leaks, peaks, room_for
from analysis.text import MISSING, gibibytes, number, significant

MIB = 2**-20


def tables(frame: pd.DataFrame, found: Sequence[Fit]) -> dict[str, str]:
    """The page's tables, by the names that its template has for them."""
    return {"fits": fits_table(frame, found), "peaks": peaks_table(frame), "leaks": leaks_table(frame)}


def peaks_table(frame: pd.DataFrame) -> str:
    """The static part and the peaks of every cell that ran."""
    return cell_table(peaks(frame), [
        plain("weights and buffers (MiB)", "static_bytes", MIB),
        plain("device peak, in tensors (GiB)", "device_peak_allocated_bytes", 2**-30),
        plain("device peak, reserved (GiB)", "device_peak_reserved_bytes", 2**-30),
        plain("process peak (GiB)", "peak_rss_bytes", 2**-30),
        part("share of all", "capacity_share_ratio"),
    ])  # fmt: skip


def fits_table(frame: pd.DataFrame, found: Sequence[Fit]) -> str:
    """The largest batch that fits and the smallest that does not, for each way of doing a task."""
    words = names_of(line_columns(frame), lambda fit: fit.row) if found else []
    return column_table(found, [
        *words,
        Column("largest batch that ran", lambda fit: whole(fit.largest)),
        Column("peak there (GiB)", lambda fit: gibibytes(fit.row.get("peak_bytes"))),
        Column("of (GiB)", lambda fit: gibibytes(fit.row.get("capacity_bytes"))),
        Column("smallest out of memory", lambda fit: "none" if fit.smallest_oom is None else whole(fit.smallest_oom)),
        Column("a further item takes (MiB)", lambda fit: _growth(fit).text),
        Column("95 % interval (MiB)", lambda fit: _growth_interval(_growth(fit))),
        Column("room for about", lambda fit: _about(room_for(fit))),
    ], n_left=len(words))  # fmt: skip


def _growth(fit: Fit) -> Figure:
    line = fit.growth
    return Figure(value=line.per_item_bytes, low=line.low, high=line.high).times(MIB)


def _growth_interval(growth: Figure) -> str:
    """Its ends, each with the digits that the width supports: both may be far below the value."""
    ends = growth.low, growth.high
    return MISSING if None in ends else f"{number(growth.low, *ends)} to {number(growth.high, *ends)}"


def _about(batch: int | None) -> str:
    return MISSING if batch is None else significant(batch, 2)


def leaks_table(frame: pd.DataFrame) -> str:
    """The verdict on each cell that was looked at, with the slopes it rests on."""
    lead, columns = [in_word("verdict", "leak_verdict"), in_word("shapes", "leak_shapes")], []
    for kind, begin in SLOPES.items():
        ends = (f"{begin}_bytes_per_step", f"{begin}_low_bytes_per_step", f"{begin}_high_bytes_per_step")
        columns.append(between(f"{kind} (KiB/step)", ends, 2**-10))
        columns.append(interval(f"{kind}, 95 % interval (KiB/step)", ends, 2**-10))
    return cell_table(leaks(frame), columns, lead=lead)
