"""The tables of the report on latency, as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import machine_columns, word_columns
from analysis.cells.rows import Row, complete, records
from analysis.page.columns import (
    Column,
    between,
    cell_table,
    column_table,
    count,
    interval,
    known_of,
    names,
    names_of,
    part,
    plain,
)
from analysis.subjects.latency.quantities import PERCENTILES, TAIL, deadlines_s, held_rates, load_cells, rates_at, timed
from analysis.subjects.latency.transfers import BANDWIDTHS, bandwidths, transfers
from analysis.text import is_missing, significant


def tables(frame: pd.DataFrame) -> dict[str, str]:
    """The page's tables, by the names that its template has for them."""
    return {
        "at_deadlines": deadlines_table(frame), "held": held_table(frame), "load": load_table(frame),
        "percentiles": percentiles_table(frame), "transfers": transfers_table(frame),
        "bandwidths": bandwidths_table(bandwidths(frame)),
    }  # fmt: skip


def percentiles_table(frame: pd.DataFrame) -> str:
    """Percentiles of every cell timed step by step, in ms, and the samples they rest on."""
    columns = [count("samples", "n_samples")]
    for name, column in PERCENTILES.items():
        if name == "p99":
            columns += [between("p99 (ms)", TAIL, 1e3), interval("95 % interval of p99 (ms)", TAIL, 1e3)]
        else:
            columns.append(plain(f"{name} (ms)", column, 1e3))
    return cell_table(timed(frame), columns)


def load_table(frame: pd.DataFrame) -> str:
    """What became of the requests at each arrival rate."""
    columns = [
        plain("arrivals (1/s)", "offered_per_s"),
        plain("completed (1/s)", "completed_rate_per_s"),
        between("p99 (ms)", TAIL, 1e3),
        interval("95 % interval of p99 (ms)", TAIL, 1e3),
        plain("deadline (ms)", "deadline_s", 1e3),
        part("missed", "missed_ratio"),
        part("dropped", "dropped_ratio"),
        plain("mean queue (requests)", "queue_mean"),
        count("longest queue (requests)", "queue_max"),
        count("requests", "n_requests"),
    ]
    return cell_table(load_cells(frame), columns, without=["rate_per_s"])


def held_table(frame: pd.DataFrame) -> str:
    """The highest arrival rate that holds each deadline asked for."""
    columns = [
        plain("deadline (ms)", "deadline_s", 1e3),
        Column("highest rate held (1/s)", _held),
        plain("throughput there (items/s)", "held_items_per_s"),
        plain("p99 there (ms)", "held_p99_s", 1e3),
        plain("lowest rate over it that failed (1/s)", "failed_per_s"),
    ]
    return cell_table(held_rates(frame), columns, without=["rate_per_s"])


def _held(row: Row) -> str:
    return "none" if is_missing(row["held_per_s"]) else significant(row["held_per_s"])


def deadlines_table(frame: pd.DataFrame) -> str:
    """Items per second within each deadline; empty where no cell has a p99."""
    done = complete(frame)
    deadlines = deadlines_s(done)
    told = rates_at(done, deadlines)
    if not told:
        return ""
    named = [c for c in word_columns(done) if c != "scenario" or done["scenario"].nunique(dropna=False) > 1]
    words = names_of(named, lambda pair: pair[0])
    # A frame rate's period has no end in decimals; three digits are what people call it.
    return column_table(told, [
        *words,
        *(Column(f"within {1e3 * d:.3g} ms ({1 / d:.3g} Hz)", lambda pair, i=i: _best(pair[1][i]))  # type: ignore[misc]
          for i, d in enumerate(deadlines)),
    ], n_left=len(words), max_rows=len(told))  # fmt: skip


def _best(row: Row | None) -> str:
    if row is None:
        return "none"
    batch = "" if is_missing(row["batch_size"]) else f" (batch {int(row['batch_size'])})"
    return f"{significant(row['throughput_items_per_s'])}{batch}"


def transfers_table(frame: pd.DataFrame) -> str:
    """Copies and computation of a step, one after the other and overlapped."""
    columns = [
        plain("copy in (ms)", "copy_in_s", 1e3),
        plain("computation (ms)", "compute_s", 1e3),
        plain("copy out (ms)", "copy_out_s", 1e3),
        part("copies' share", "copy_share_ratio"),
        plain("one after the other (ms)", "serial_step_s", 1e3),
        plain("overlapped (ms)", "overlapped_step_s", 1e3),
        plain("speed-up by overlap", "overlap_speedup"),
    ]
    return cell_table(transfers(frame), columns, without=["scenario", "rate_per_s"])


def bandwidths_table(frame: pd.DataFrame) -> str:
    """Bandwidths of large copies in GB/s (10^9 bytes), one row a machine's device."""
    words = names([*machine_columns(frame), "device"])
    if frame["unified_memory"].notna().any():
        unified = {True: "one for both", False: "separate"}
        words.append(Column("memory", lambda row: unified.get(row["unified_memory"], "")))
    shown = [*words, *known_of(frame, [plain(f"{title} (GB/s)", c, 1e-9) for c, title in BANDWIDTHS.items()])]
    return column_table(records(frame), shown, n_left=len(words))
