"""The tables of the report on latency, as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import header, machine_columns, word_columns, words
from analysis.cells.rows import Row, complete
from analysis.page.cell_table import Column, between, cell_table, count, interval, part, plain
from analysis.subjects.latency.quantities import PERCENTILES, deadlines_s, held_rates, load_cells, rates_at, timed
from analysis.subjects.latency.transfers import BANDWIDTHS, transfers
from analysis.text import MISSING, is_missing, significant, table

TAIL = ("latency_p99_s", "tail_low_s", "tail_high_s")
"""A cell's p99 and the ends of its interval."""


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
        Column(title="highest rate held (1/s)", show=_held),
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
    names = [c for c in word_columns(done) if c != "scenario" or done["scenario"].nunique(dropna=False) > 1]
    rows = [[*words(row, names), *(_best(cell) for cell in best)] for row, best in told]
    # A frame rate's period has no end in decimals; three digits are what people call it.
    headers = [f"within {1e3 * d:.3g} ms ({1 / d:.3g} Hz)" for d in deadlines]
    return table([*(header(c) for c in names), *headers], rows, n_left=len(names))


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
        Column(
            title="speed-up by overlap",
            show=lambda r: MISSING if is_missing(r["overlap_speedup"]) else significant(r["overlap_speedup"]),
            needs=["overlap_speedup"],
        ),
    ]
    return cell_table(transfers(frame), columns, without=["scenario", "rate_per_s"])


def bandwidths_table(frame: pd.DataFrame) -> str:
    """Bandwidths of large copies in GB/s (10^9 bytes), one row a machine's device."""
    if frame.empty:
        return ""
    names = [*machine_columns(frame), "device"]
    columns = [plain(f"{title} (GB/s)", column, 1e-9) for column, title in BANDWIDTHS.items()]
    columns = [c for c in columns if frame[c.needs[0]].notna().any()]
    has_word = frame["unified_memory"].notna().any()
    rows = []
    for row in ({str(k): v for k, v in r.items()} for r in frame.to_dict("records")):
        unified = {True: "one for both", False: "separate"}.get(row["unified_memory"], "")
        rows.append([*words(row, names), *([unified] if has_word else []), *(c.show(row) for c in columns)])
    headers = [*names, *(["memory"] if has_word else []), *(c.title for c in columns)]
    return table(headers, rows, n_left=len(names) + has_word)
