"""The tables of the report on latency, as Markdown."""

from __future__ import annotations

from itertools import chain

import pandas as pd

from analysis.cells.groups import machine_columns, word_columns
from analysis.cells.rows import Row, complete, records
from analysis.contract.limits import latency
from analysis.page.columns import Column, between, cell_table, column_table, count, interval, names, part, plain
from analysis.subjects.latency.quantities import PERCENTILES, TAIL, deadlines_s, held_rates, load_cells, rates_at, timed
from analysis.subjects.latency.transfers import BANDWIDTHS, bandwidths, transfers
from analysis.text import is_missing, joined, significant

TAIL_COLUMNS = [between("p99 (ms)", TAIL, 1e3), interval("95 % interval of p99 (ms)", TAIL, 1e3)]


def percentiles_table(frame: pd.DataFrame) -> str:
    """Percentiles of every cell timed step by step, in ms, and the samples they rest on."""
    columns = {name: [plain(f"{name} (ms)", column, 1e3)] for name, column in PERCENTILES.items()}
    columns["p99"] = TAIL_COLUMNS
    return cell_table(timed(frame), [count("samples", "n_latency_samples"), *chain.from_iterable(columns.values())])


def load_table(frame: pd.DataFrame) -> str:
    """What became of the requests at each arrival rate."""
    columns = [
        plain("arrivals (1/s)", "offered_per_s"),
        plain("completed (1/s)", "completed_rate_per_s"),
        *TAIL_COLUMNS,
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
        Column(
            "highest sustained rate (1/s)",
            lambda row: "none" if is_missing(row["held_per_s"]) else significant(row["held_per_s"]),
        ),
        plain("throughput there (items/s)", "held_items_per_s"),
        plain("p99 there (ms)", "held_p99_s", 1e3),
        plain("lowest rate above it that failed (1/s)", "failed_per_s"),
    ]
    return cell_table(held_rates(frame), columns, without=["rate_per_s"])


def deadlines_table(frame: pd.DataFrame) -> str:
    """Items per second within each deadline."""
    done = complete(frame)
    deadlines = deadlines_s(done)
    told = [{**row, **dict(zip(deadlines, best, strict=True))} for row, best in rates_at(done, deadlines)]
    words = names(word_columns(done))
    # A frame rate's period has no end in decimals; three digits are what people call it.
    return column_table(told, [
        *words,
        *(Column(f"within {1e3 * d:.3g} ms ({1 / d:.3g} Hz)", lambda row, d=d: _best(row[d])) for d in deadlines),
    ], n_left=len(words), max_rows=len(told))  # fmt: skip


def _best(row: Row | None) -> str:
    if row is None:
        return "none"
    judged = latency(row)[0]
    said = joined(
        None if is_missing(row["batch_size"]) else f"batch {int(row['batch_size'])}",
        None if judged == "p99" else judged,
    )
    return f"{significant(row['throughput_items_per_s'])}{f' ({said})' if said else ''}"


def transfers_table(frame: pd.DataFrame) -> str:
    """Copies and computation of a step, one after the other and overlapped."""
    columns = [
        plain("copy in (ms)", "copy_in_s", 1e3),
        plain("computation (ms)", "compute_s", 1e3),
        plain("copy out (ms)", "copy_out_s", 1e3),
        part("copies' share", "copy_share_ratio"),
        plain("in sequence (ms)", "serial_step_s", 1e3),
        plain("overlapped (ms)", "overlapped_step_s", 1e3),
        plain("speed-up from overlap", "overlap_speedup"),
    ]
    return cell_table(transfers(frame), columns, without=["scenario", "rate_per_s"])


def bandwidths_table(frame: pd.DataFrame) -> str:
    """Bandwidths of large copies in GB/s (10^9 bytes), one row a machine's device."""
    frame = bandwidths(frame)
    words = names([*machine_columns(frame), "device"])
    if frame["unified_memory"].notna().any():
        unified = {True: "one for both", False: "separate"}
        words.append(Column("memory", lambda row: unified.get(row["unified_memory"], "")))
    rates = [plain(f"{title} (GB/s)", c, 1e-9) for c, title in BANDWIDTHS.items() if frame[c].notna().any()]
    return column_table(records(frame), [*words, *rates], n_left=len(words))
