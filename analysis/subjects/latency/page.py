"""Latency: percentiles, the load curve, items per second at a deadline, copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.cells.groups import Group, groups, machine_columns, task_columns
from analysis.cells.rows import complete
from analysis.contract.cells import MIN_SAMPLES, SERVER
from analysis.page.command_line import run_report
from analysis.page.sections import draw_each, fill, identified, titled
from analysis.read.sweeps import Page
from analysis.subjects.latency import tables
from analysis.subjects.latency.answer import deadline_sentences, load_sentences, tail_sentences, transfer_sentences
from analysis.subjects.latency.figures import (
    MAX_LINES,
    draw_load_curves,
    draw_percentiles,
    draw_transfers,
    percentile_lines,
    transfers_shown,
)
from analysis.subjects.latency.quantities import COLUMNS, PERCENTILES, load_cells, load_curves, timed
from analysis.subjects.latency.tails import tail_intervals
from analysis.subjects.latency.transfers import COLUMNS as COPY_COLUMNS
from analysis.subjects.latency.transfers import bandwidths, transfers

NAME = "report_latency"


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
    needed = zip(PERCENTILES, MIN_SAMPLES.values(), strict=True)
    return fill(
        "subjects/latency/page.md.j2", page, "Latency",
        answer=[*tail_sentences(frame), *load_sentences(frame), *deadline_sentences(frame), *transfer_sentences(frame)],
        at_deadlines=tables.deadlines_table(frame),
        load_figures=draw_each(groups(load_cells(frame), task_columns(frame)), page.figures, "load", _draw_load),
        held=tables.held_table(frame),
        load=tables.load_table(frame),
        percentile_figures=draw_each(tasks, page.figures, "percentiles", _draw_percentiles),
        percentiles=tables.percentiles_table(frame),
        samples_needed=", ".join(f"{name} from {n:,}" for name, n in needed),
        transfer_figures=draw_each(groups(copies, [*machine_columns(copies), "device"]), page.figures, "transfers",
                                   _draw_transfers),
        transfers=tables.transfers_table(frame),
        bandwidths=tables.bandwidths_table(bandwidths(frame)),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    columns = [*COLUMNS, *COPY_COLUMNS]
    told = "Write the report on latency: percentiles, load, deadlines, copies."
    return run_report(arguments, name=NAME, description=told, build=build, columns=columns)
