"""The page ``report.md``: the whole story of a sweep."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.cells.identity import with_identity
from analysis.cells.money import Prices, with_costs
from analysis.cells.naming import common
from analysis.cells.rows import counts_text, items_of
from analysis.contract.limits import Limits
from analysis.page.caveats.caveat import Caveat, heaviest_first
from analysis.page.caveats.of_sweep import caveats
from analysis.page.command_line import default_output, page_of, parser, write_json, write_page, writing
from analysis.page.environment import environment_table, of_devices
from analysis.page.runs import is_repeated, told_of_runs
from analysis.page.sections import Drawings
from analysis.page.tables import failures_table, grid_table
from analysis.page.templates import render
from analysis.read.sweep import AnalysisError, unreadable_parts
from analysis.read.sweeps import Page, find_sweeps
from analysis.recommendation import figures, tables, why_slow
from analysis.recommendation.answering.answer import answer
from analysis.recommendation.axes.effects import Effect, effects
from analysis.recommendation.axes.figure import draw_effects
from analysis.recommendation.axes.tables import effects_table
from analysis.recommendation.compilation import with_compilation
from analysis.recommendation.limits import limits_of, told, within
from analysis.recommendation.recommend import Task, choices, may_grow, tasks
from analysis.recommendation.summary import Told, summary
from analysis.text import escape, is_missing, significant, visible

COLUMNS = ("energy_domain", "energy_source", "n_nonfinite", "leak_verdict", "rate_per_s", "deadline_s", "first_step_s",
           *figures.COLUMNS, *why_slow.COLUMNS)  # fmt: skip
MAX_TOLD = 6
"""Tasks named in one sentence."""
LIMITS = {
    "max_latency_ms": "recommend only cells within this p99; within this median step where there is no p99",
    "max_memory_gb": "recommend only cells within this peak memory, in 1e9 bytes",
    "max_energy_j": "recommend only cells within this energy per item",
    "min_accuracy": "recommend only cells with at least this held-out accuracy, 0 to 1",
}
PRICES = {
    "price_per_hour": "what an hour of the machine costs: adds the cost per million items, in the same currency",
    "price_per_kwh": "what a kWh costs: adds the cost of the measured energy",
    "gco2_per_kwh": "grams of CO2 emitted per kWh: adds those of a million items, from the measured energy",
}


def _doubts(page: Page, frame: pd.DataFrame, found: Sequence[Task], n_not_drawn: int) -> list[Caveat]:
    """What speaks against the numbers, the heaviest first."""
    lost = page.trials.attrs
    unreadable = [*page.trials.attrs["unreadable"], *(name for s in page.sweeps for name in unreadable_parts(s))]
    not_drawn = f"Figures show the first {figures.MAX_TASKS} tasks; {n_not_drawn} more are in the tables."
    said = [*_imprecise(found), *_growing(frame, found), *([not_drawn] if n_not_drawn else [])]
    return heaviest_first([
        *caveats(frame, lost["asked"], unreadable, lost["missing"]), *told_of_runs(frame),
        *(Caveat(text=text, is_markdown=True) for text in said),
    ])  # fmt: skip


def _imprecise(found: Sequence[Task]) -> list[str]:
    """Cells that an answer names and whose measuring ended before their interval was as narrow as asked."""
    told = []
    for name, row in [(task.name, best.row) for task in found for best in task.best_per_device[:1]]:
        if not is_missing(row["is_precise"]) and not row["is_precise"]:
            cell = f"batch {row['batch_size']:,.0f} on {escape(row['device'])} in {escape(row['precision'])}"
            told.append(f"{f'{escape(name)}: ' if name else ''}{cell}")
    if not told:
        return []
    more = f"; and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
    which, its = ("cell is", "its interval") if len(told) == 1 else ("cells are", "their intervals")
    return [
        f"The fastest {which} known less precisely than --precision-target asks:"
        f" {'; '.join(told[:MAX_TOLD])}{more}. A longer --max-s narrows {its}."
    ]


def _growing(frame: pd.DataFrame, found: Sequence[Task]) -> list[str]:
    """Where a larger batch than any measured might be faster still."""
    if frame["search_role"].notna().any():
        return []
    told = []
    for name, row in [(task.name, best.row) for task in found for best in task.best_per_device[:1]]:
        gain = may_grow(frame, row)
        if gain is not None:
            size = f"batch {row['batch_size']:,.0f} on {escape(row['device'])}"
            told.append(
                f"{f'{escape(name)}: ' if name else ''}{size}, {significant(gain)}x the speed of the next smaller one"
            )
    if not told:
        return []
    more = f"; and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
    return ["A larger batch than any measured may be faster still (`--batch-size auto` finds it), as the largest is"
            f" the fastest: {'; '.join(told[:MAX_TOLD])}{more}."]  # fmt: skip


def commands(page: Page) -> list[str]:
    """The command lines that made the sweeps, and those that go on with what is missing; each on one line."""
    made = []
    for name, description in page.descriptions.items():
        origins = description.get("merged_from") or ()
        made += [[str(word) for word in told.get("command") or ()] for told in origins]
        command = [str(word) for word in description.get("command") or ()]
        if not command:
            continue
        made.append(command)
        if name in page.trials.attrs["short"] and not origins:  # what was merged goes on by itself
            output = command[command.index("--output") :][:2] if "--output" in command else []
            made.append([*command[:2], "--resume", str(description.get("sweep_id", name)), *output])
    return [visible(" ".join(shlex.join(words).split())) for words in made]


def _drawn_effects(page: Page, bought: Sequence[Effect]) -> Drawings:
    path = page.figures / "axes.png"
    told = draw_effects(path, bought)
    return Drawings(figures=[] if told is None else [(path, told)])


def build(page: Page, limits: Limits, prices: Prices) -> str:
    """The report's Markdown; its figures are written into ``page.figures``, and ``summary.json`` beside them."""
    frame = with_costs(with_compilation(with_identity(page.trials)), prices)
    found = tasks(frame)
    held = [replace(task, cells=within(limits, task.cells)) for task in found]
    drawn, n_not_drawn = figures.draw_all(frame, page.rounds, page.figures, limits)
    configs = [description.get("config") or {} for description in page.descriptions.values()]
    objectives = (configs[0].get("search") or {}).get("objectives", ()) if configs else ()
    empty = configs[0].get("workload", "an empty sweep") if configs else "an empty sweep"
    shared = common(frame, ("workload", "model")) or (empty if frame.empty else "several workloads")
    bought = effects(frame)
    told_answer = answer(frame, limits)
    doubts = _doubts(page, frame, held, n_not_drawn)
    said = Told(
        title=shared, caveats=doubts, bought=bought, sweeps=list(page.descriptions), answer=told_answer.by_task,
        limits=limits, prices=prices,
    )  # fmt: skip
    write_json(page.figures.parent / "summary.json", summary(frame, held, said))
    return render(
        "recommendation/page.md.j2",
        title=f"{escape(shared)}: what this machine should use",
        answer=told_answer.sentences,
        answer_lead=told_answer.lead,
        answer_table=told_answer.table,
        axes=effects_table(bought),
        axes_figure=_drawn_effects(page, bought),
        caveats=[caveat.told(frame) for caveat in doubts],
        formulas=[escape(text) for text in prices.formulas(items_of(frame))],
        within=told(limits),
        choices=tables.choices_table(frame, [choice for task in held for choice in choices(task)]),
        front=tables.front_table(frame, objectives, limits),
        objectives=" and ".join(name.replace("_", " ") for name in objectives),
        why_slow="\n\n".join(filter(None, why_slow.page_part(frame, held, page.profiles))),
        figures=drawn,
        is_repeated=is_repeated(frame),
        commands=commands(page),
        is_changed=bool(frame["git_commit"].astype("str").str.endswith("+").any()),
        sweeps=[escape(name) for name in page.descriptions],
        **_tables(frame, found),
    )


def _tables(frame: pd.DataFrame, found: Sequence[Task]) -> dict[str, str]:
    """The tables that are the same whatever is asked of the cells, by their names in the template."""
    cells, cells_shown = tables.cells_table(frame)
    return {
        "precisions": tables.precisions_table(frame, found), "runtimes": tables.runtimes_table(frame, found),
        "batch_sizes": tables.batch_sizes_table(frame), "cells": cells, "cells_shown": cells_shown,
        "grid_counts": counts_text(frame), "grid": grid_table(frame), "failures": failures_table(frame),
        "environment": environment_table(of_devices(frame)),
    }  # fmt: skip


def write_report(
    paths: str | Path | Sequence[str | Path], output: Path | None = None, *, html: bool = False, **limits: float | None
) -> Path:
    """Write the report of one sweep, or of several as one, by default as ``report.md`` in the sweep's folder.

    Without limits (of ``Limits``; prices, of ``Prices``, go with them) it takes those that the sweep itself was asked
    to hold. The path returned is that of the self-contained HTML file where ``html`` asks for one too. ``summary.json``
    says the same for programs, in the page's folder.

    Raises:
        AnalysisError: If there is no sweep, a limit makes no sense, or the page cannot be written.
    """
    sweeps = find_sweeps([paths] if isinstance(paths, str | Path) else paths)
    target = output or default_output(sweeps, "report")
    page = page_of(sweeps, COLUMNS, target)
    try:
        prices = Prices(**{name: limits.pop(name, None) for name in PRICES})
        given = Limits(**limits)
        asked = given if given.asked else limits_of(list(page.descriptions.values()))
    except ValueError as error:
        raise AnalysisError(str(error)) from error
    with writing(target):
        return write_page(target, build(page, asked, prices), html=html)


def main(arguments: Sequence[str]) -> int:
    described = parser("Write the report: everything about a sweep on one page.")
    for name, told_of_it in (LIMITS | PRICES).items():
        described.add_argument(f"--{name.replace('_', '-')}", type=float, help=told_of_it)
    options = described.parse_args(arguments)
    limits = {name: getattr(options, name) for name in LIMITS | PRICES}
    sys.stdout.write(f"{write_report(options.results, options.output, html=options.html, **limits)}\n")
    return 0
