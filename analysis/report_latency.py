"""Latency: percentiles, the load curve, items per second at a deadline, copies: ``python analysis/report_latency.py``.

Numbers come from ``latency.py``, ``quantiles.py`` and ``transfers.py``, figures from ``latency_figures.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

import pandas as pd

from analysis import latency_tables as tables
from analysis.cells.groups import Group, full_name, groups, machine_columns, setting, task_columns
from analysis.cells.rows import complete, records
from analysis.latency import (
    COLUMNS,
    MIN_SAMPLES,
    SERVER,
    held_rates,
    load_cells,
    load_curves,
    lowest_tails,
    shortest_steps,
    timed,
)
from analysis.latency_figures import (
    MAX_LINES,
    draw_load_curves,
    draw_percentiles,
    draw_transfers,
    percentile_lines,
    transfers_shown,
)
from analysis.page.command_line import run_main, run_report
from analysis.page.sections import counted, draw_each, fill, identified, listed, titled
from analysis.read.sweeps import Page
from analysis.stats.quantiles import tail_intervals
from analysis.text import escape, number, seconds_as_ms, share, significant
from analysis.transfers import COLUMNS as COPY_COLUMNS
from analysis.transfers import bandwidths, transfers

NAME = "report_latency"
MAX_SENTENCES = 8


def tail_sentences(frame: pd.DataFrame) -> list[str]:
    """The lowest tail of each task and device where steps follow each other, the median beside it."""
    steps = timed(frame)
    steps = steps[steps["scenario"] != SERVER]
    shortest, said = shortest_steps(frame), []
    for task, tail, row in lowest_tails(steps):
        told = f"{tail.name} of {seconds_as_ms(row[tail.column], row.get('tail_low_s'), row.get('tail_high_s'))} ms"
        median = "" if tail.name == "p50" else f", median {seconds_as_ms(row['latency_p50_s'])} ms"
        where = f"{escape(task.name)}: lowest" if task.name else "Lowest"
        quick = shortest.get((task.name, str(row["device"])), row)
        quicker = ""
        if quick["step_median_s"] < row["latency_p50_s"]:
            has_no = "" if pd.notna(quick[tail.column]) else f" and no {tail.name}"
            median_s = seconds_as_ms(quick["step_median_s"])
            quicker = f"; **{escape(setting(frame, quick))}** has a median of {median_s} ms{has_no}"
        said.append(
            f"{where} latency on {escape(row['device'])}: **{escape(setting(frame, row))}**, {told}{median}{quicker}."
        )
    if len(said) > MAX_SENTENCES:
        said = [*said[:MAX_SENTENCES], f"{counted(len(said) - MAX_SENTENCES, 'more task')}: see the table below."]
    if said and steps["latency_p99_s"].isna().all():
        said.append(f"No 99th percentile is known of a step: it takes {MIN_SAMPLES['p99']} samples of a cell.")
    return said


def _rate(value: float) -> str:
    """An arrival rate as it was asked for, or found."""
    return f"{value:,.4g}"


def load_sentences(frame: pd.DataFrame) -> list[str]:
    """How the tail grows along each load curve, and at which rates requests pile up."""
    said = []
    for curve in load_curves(frame):
        keeps = curve.cells[~curve.cells["is_saturated"]]
        ends = [
            f"{seconds_as_ms(row['latency_p99_s'], row['tail_low_s'], row['tail_high_s'])} ms at "
            f"{_rate(row['offered_per_s'])} requests/s"
            for row in (records(keeps.iloc[[0, -1]]) if len(keeps) else [])
        ]
        over = [_rate(v) for v in curve.cells.loc[curve.cells["is_saturated"], "offered_per_s"]]
        parts = [f"p99 is {listed(list(dict.fromkeys(ends)))}"] if ends else []
        parts += [f"queue grows without end at {listed(over)} requests/s"] if over else []
        name = f"With {escape(curve.name)} the" if curve.name else "The"
        said.append(f"{name} {'; the '.join(parts)}.")
    return said


def deadline_sentences(frame: pd.DataFrame) -> list[str]:
    """The highest arrival rate that each setting of the server scenario holds at its deadline."""
    said = []
    held = held_rates(frame).drop(columns="rate_per_s")  # the rate is the answer, not the setting
    for row in records(held):
        what, deadline = escape(full_name(held, row, frame)), f"{1e3 * row['deadline_s']:g} ms"
        failed = None if pd.isna(row["failed_per_s"]) else _rate(row["failed_per_s"])
        if pd.isna(row["held_per_s"]):
            lowest = "" if failed is None else f", not even {failed} /s"
            said.append(f"At a deadline of {deadline} no rate that was tried holds with {what}{lowest}.")
            continue
        items = f"{significant(row['held_items_per_s'])} {escape(row['item'] or 'items')}/s"
        tail = f"with a p99 of {seconds_as_ms(row['held_p99_s'])} ms"
        over = "" if failed is None else f"; {failed} /s do not hold"
        rate = f"{_rate(row['held_per_s'])} requests/s"
        said.append(f"At a deadline of {deadline}, {what} holds **{rate}**, {items}, {tail}{over}.")
    return said


def transfer_sentences(frame: pd.DataFrame) -> list[str]:
    """Where copying takes most of a step on each accelerator, and what overlapping and pinning gain."""
    said = []
    cells = transfers(frame)
    cells = cells[(cells["device"] != "cpu") & cells["copy_share_ratio"].notna()]
    for group in groups(cells, [*machine_columns(frame), "device"]):
        row = records(group.cells.loc[[group.cells["copy_share_ratio"].idxmax()]])[0]
        gain = "" if pd.isna(row["overlap_speedup"]) else (
            f"; overlapped with the computation a step is {significant(row['overlap_speedup'], 2)} times as fast"
        )  # fmt: skip
        how = escape(setting(cells, row))
        said.append(
            f"On {escape(group.name)} copies take up to {share(row['copy_share_ratio'])} of a step, with {how}{gain}."
        )
        pinned, pageable = row["h2d_pinned_bytes_per_s"], row["h2d_pageable_bytes_per_s"]
        if pd.notna(pinned) and pd.notna(pageable):
            times, rates = (
                significant(pinned / pageable, 2),
                f"{number(pinned / 1e9)} against {number(pageable / 1e9)} GB/s",
            )
            said.append(
                f"There pinned memory is copied to the device {times} times as fast as pageable memory ({rates})."
            )
    return said


def _draw_percentiles(path: Path, group: Group) -> str | None:
    lines, n = percentile_lines(group.cells)
    if not lines or group.row["scenario"] == SERVER:  # the load curve says more of a server
        return None
    left = f" ({len(lines)} of {n} cells)" if len(lines) < n else ""
    title = titled("Latency by percentile", group)
    draw_percentiles(path, lines, title=f"{title}{left}")
    return f"{title}: p50 to p99.9 where samples are enough{left}"


def _draw_load(path: Path, group: Group) -> str | None:
    curves = load_curves(group.cells)
    if not curves:
        return None
    title = titled("Tail latency over arrival rate", group)
    draw_load_curves(path, curves[:MAX_LINES], title=title)
    return f"{title}: 99th percentile with 95 % intervals, deadlines as dotted lines"


def _draw_transfers(path: Path, group: Group) -> str | None:
    if group.row["device"] == "cpu":  # its copies stay in one memory, and are too short to see
        return None
    shown, n, title = transfers_shown(group.cells), len(group.cells), titled("What copies take of a step", group)
    left = f" ({len(shown)} of {n} cells)" if len(shown) < n else ""
    draw_transfers(path, shown, title=f"{title}{left}")
    fastest = ", the fastest of each task and batch size" if left else ""
    return f"{title}: copy in, computation and copy out as shares{fastest}{left}"


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    kept = ["sweep", "trial_key"]
    frame = identified(page, [*COLUMNS, *COPY_COLUMNS])
    done = complete(frame)
    tails = tail_intervals(done[done["latency_p99_s"].notna()], page.sweeps)
    frame = frame.merge(tails.drop_duplicates(kept), on=kept, how="left")
    tasks = groups(timed(frame), task_columns(frame))
    copies = transfers(frame)
    return fill(
        f"{NAME}.md.j2", page, "Latency",
        answer=[*tail_sentences(frame), *load_sentences(frame), *deadline_sentences(frame), *transfer_sentences(frame)],
        at_deadlines=tables.deadlines_table(frame),
        load_figures=draw_each(groups(load_cells(frame), task_columns(frame)), page.figures, "load", _draw_load),
        held=tables.held_table(frame),
        load=tables.load_table(frame),
        percentile_figures=draw_each(tasks, page.figures, "percentiles", _draw_percentiles),
        percentiles=tables.percentiles_table(frame),
        samples_needed=", ".join(f"{name} from {n:,}" for name, n in MIN_SAMPLES.items()),
        transfer_figures=draw_each(groups(copies, [*machine_columns(copies), "device"]), page.figures, "transfers",
                                   _draw_transfers),
        transfers=tables.transfers_table(frame),
        bandwidths=tables.bandwidths_table(bandwidths(frame)),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    columns = [*COLUMNS, *COPY_COLUMNS]
    told = "Write the report on latency: percentiles, load, deadlines, copies."
    return run_report(arguments, name=NAME, description=told, build=build, columns=columns)


if __name__ == "__main__":
    sys.exit(run_main(main))
