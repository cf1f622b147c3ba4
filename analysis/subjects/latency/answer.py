"""The sentences that the report on latency begins with."""

from __future__ import annotations

import pandas as pd

from analysis.cells.groups import full_name, groups, machine_columns, setting
from analysis.cells.ranking import plain, rank, step
from analysis.cells.rows import items, records
from analysis.contract.cells import MIN_SAMPLES, SERVER
from analysis.subjects.latency.quantities import TAIL, held_rates, load_curves, lowest_tails, shortest_steps, timed
from analysis.subjects.latency.transfers import transfers
from analysis.text import counted, escape, listed, number, seconds_as_ms, share, significant

MAX_SENTENCES = 8


def tail_sentences(frame: pd.DataFrame) -> list[str]:
    """The lowest tail of each task and device where steps follow each other, the median beside it."""
    steps = timed(frame)
    steps = steps[steps["scenario"] != SERVER]
    shortest, said = shortest_steps(frame), []
    for task, tail, column, row in lowest_tails(steps):
        told = f"**{escape(setting(frame, row))}**, {tail} of {seconds_as_ms(row[column])} ms"
        if tail != "p50":
            told += f", median {seconds_as_ms(row['latency_p50_s'])} ms"
        name, device = f"{escape(task.name)}: " if task.name else "", escape(row["device"])
        alike = records(task.cells[task.cells["device"] == row["device"]])
        ranking = rank(alike, plain(column), is_lower_better=True)
        beside = ranking.undecided(lambda other: escape(setting(frame, other))) if ranking else ""
        quick, cells = shortest.get((task.name, str(row["device"])), (row, task.cells))
        median = f"**{escape(setting(frame, quick))}** has a median of {seconds_as_ms(quick['step_median_s'])} ms"
        if pd.isna(quick[column]) and quick["step_median_s"] < row[column]:
            # Whose tail is not known may have the lowest: nothing is called that.
            of = f"of the {cells[column].notna().sum():,} of {counted(len(cells))} with a {tail}, the lowest is {told}"
            by_step = rank(records(cells), step, is_lower_better=True)
            shortest_of_all = ", the shortest" if by_step and by_step.is_first else ""
            said.append(f"{name}{'on' if name else 'On'} {device} {median}{shortest_of_all}, but no {tail}; {of}.")
            continue
        if quick["step_median_s"] < row["latency_p50_s"]:
            told += f"; {median}"
        word = "lowest latency" if ranking and ranking.is_first else "latency"
        told += f", {beside}" if beside else ""
        said.append(f"{name}{word if name else word.capitalize()} on {device}: {told}.")
    if len(said) > MAX_SENTENCES:
        said = [*said[:MAX_SENTENCES], f"{counted(len(said) - MAX_SENTENCES, 'more task')} in the table below."]
    if said and steps["latency_p99_s"].isna().all():
        said.append(f"No cell has a 99th percentile of its steps: it needs {MIN_SAMPLES['p99']} samples.")
    return said


def _rate(value: float) -> str:
    """An arrival rate as it was asked for, or found."""
    return f"{value:,.4g}"


def load_sentences(frame: pd.DataFrame) -> list[str]:
    """How the tail grows along each load curve, and at which rates requests pile up."""
    said = []
    for curve in load_curves(frame):
        keeps = curve.cells[~curve.cells["is_saturated"]]
        ends = [f"{seconds_as_ms(row[TAIL[0]])} ms at {_rate(row['offered_per_s'])} requests/s"
                for row in (records(keeps.iloc[[0, -1]]) if len(keeps) else [])]  # fmt: skip
        over = [_rate(v) for v in curve.cells.loc[curve.cells["is_saturated"], "offered_per_s"]]
        parts = [f"p99 is {listed(list(dict.fromkeys(ends)))}"] if ends else []
        parts += [f"queue grows without bound at {listed(over)} requests/s"] if over else []
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
            lowest = "" if failed is None else f", not even {failed} requests/s"
            said.append(f"At a deadline of {deadline} {what} sustained none of the rates tried{lowest}.")
            continue
        over = "" if failed is None else f"; {failed} requests/s is too much"
        then = f"{significant(row['held_items_per_s'])} {escape(items(row))}/s"
        tail = "with a p99 " + ("unknown, as there were too few requests" if pd.isna(row["held_p99_s"]) else
                                f"of {seconds_as_ms(row['held_p99_s'])} ms")  # fmt: skip
        if pd.notna(row["held_p99_high_s"]):
            tail += f", at most {seconds_as_ms(row['held_p99_high_s'])} ms with 99 % confidence"
        if pd.notna(row["search_s"]):
            over = f"; found in {row['search_s']:,.0f} s of requests{over}"
        rate = f"{_rate(row['held_per_s'])} requests/s"
        said.append(f"At a deadline of {deadline}, {what} sustains **{rate}**, {then}, {tail}{over}.")
    return said


def transfer_sentences(frame: pd.DataFrame) -> list[str]:
    """Where copying takes most of a step on each accelerator, and what overlapping and pinning gain."""
    said = []
    cells = transfers(frame)
    cells = cells[(cells["device"] != "cpu") & cells["copy_share_ratio"].notna()]
    for group in groups(cells, [*machine_columns(frame), "device"]):
        row = records(group.cells.loc[[group.cells["copy_share_ratio"].idxmax()]])[0]
        copied = f"copies take up to {share(row['copy_share_ratio'])} of a step, with {escape(setting(cells, row))}"
        if pd.notna(row["overlap_speedup"]):
            gain = significant(row["overlap_speedup"])
            copied += f"; with copies overlapped, a step runs at {gain}x the speed"
        said.append(f"On {escape(group.name)} {copied}.")
        pinned, pageable = row["h2d_pinned_bytes_per_s"], row["h2d_pageable_bytes_per_s"]
        if pd.notna(pinned) and pd.notna(pageable):
            times = f"{significant(pinned / pageable)}x the speed of those from pageable memory"
            rates = f"{number(pinned / 1e9)} against {number(pageable / 1e9)} GB/s"
            said.append(f"There, copies from pinned memory to the device run at {times} ({rates}).")
    return said
