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
    ranged,
    valued,
)
from analysis.subjects.memory.quantities import SLOPES, Fit, peaks, room_for
from analysis.text import MISSING, gibibytes, significant

_MIB = 2**-20


def fits_table(frame: pd.DataFrame, found: Sequence[Fit]) -> str:
    """The largest batch that fits and the smallest that does not, for each way of doing a task."""
    words = names_of(line_columns(frame), lambda fit: fit.row) if found else []
    return column_table(found, [
        *words,
        Column("largest batch that ran", lambda fit: MISSING if fit.largest is None else f"{fit.largest:,}"),
        Column("peak there (GiB)", lambda fit: gibibytes(fit.row.get("peak_bytes"))),
        Column("of (GiB)", lambda fit: gibibytes(fit.row.get("capacity_bytes"))),
        Column("smallest out of memory", lambda fit: "none" if (n := fit.smallest_oom) is None else f"{n:,}"),
        valued("per additional item (MiB)", lambda fit: fit.growth.per_item_bytes.times(_MIB)),
        ranged("95 % interval (MiB)", lambda fit: fit.growth.per_item_bytes.times(_MIB)),
        Column("room for about", lambda fit: MISSING if (n := room_for(fit)) is None else significant(n)),
    ], n_left=len(words))  # fmt: skip


def peaks_table(frame: pd.DataFrame) -> str:
    """The static part and the peaks of every cell that ran."""
    return cell_table(peaks(frame), [
        plain("weights and buffers (MiB)", "static_bytes", _MIB),
        plain("device peak, in tensors (GiB)", "device_peak_allocated_bytes", 2**-30),
        plain("device peak, reserved (GiB)", "device_peak_reserved_bytes", 2**-30),
        plain("process peak (GiB)", "peak_rss_bytes", 2**-30),
        part("share of total", "capacity_share_ratio"),
    ])  # fmt: skip


def leaks_table(looked_at: pd.DataFrame) -> str:
    """The verdict on each cell that was looked at, with the slopes it rests on."""
    columns = []
    for kind, begin in SLOPES.items():
        ends = (f"{begin}_bytes_per_step", f"{begin}_low_bytes_per_step", f"{begin}_high_bytes_per_step")
        columns.append(between(f"{kind} (KiB/step)", ends, 2**-10))
        columns.append(interval(f"{kind}, 95 % interval (KiB/step)", ends, 2**-10))
    return cell_table(looked_at, columns, lead=[in_word("verdict", "leak_verdict"), in_word("shapes", "leak_shapes")])
