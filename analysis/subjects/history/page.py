"""The page ``report_history.md``: all sweeps of a folder, and what changed between them.

``python analysis/report_history.py [RESULTS...]``; "which torch release made this slower" is its table of steps.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.figures import panels
from analysis.figures.lines import Series as Line
from analysis.figures.lines import draw_series
from analysis.page.command_line import parser, write_page, writing
from analysis.page.sections import Drawings
from analysis.page.templates import render
from analysis.stats.estimate import Figure
from analysis.subjects.history.series import Series, Step, series_of, steps_of
from analysis.subjects.history.sweeps import Sweep, all_sweeps
from analysis.subjects.history.tables import index_table, series_table, steps_table
from analysis.text import counted, escape

MAX_LINES = 12
MAX_SENTENCES = 6
MAX_TICKS = 12


def answer(sweeps: Sequence[Sweep], found: Sequence[Series], steps: Sequence[Step]) -> list[str]:
    """What became of the cells that recur, version by version."""
    said = [f"{counted(len(sweeps), 'sweep')}, {counted(len(found))} measured in more than one of them on one machine."]
    sure = [step for step in steps if step.verdict in ("slower", "faster")]
    n_looked = Counter(step.change for step in steps)
    for (change, word), n in Counter((step.change, step.verdict) for step in sure).most_common(MAX_SENTENCES):
        those = [step for step in sure if (step.change, step.verdict) == (change, word)]
        far = (min if word == "slower" else max)(those, key=lambda step: step.ratio.value or 1.0)
        what = f"From {escape(change)}" if change else "Without a change of version"
        of = f" of {n_looked[change]:,}" if change else ""
        noun = "cell" if (n_looked[change] if change else n) == 1 else "cells"
        said.append(f"{what}, {n:,}{of} {noun} {'is' if n == 1 else 'are'} {word}: {escape(far.series.name)} at"
                    f" {far.ratio.factor_text} its speed before.")  # fmt: skip
    if found and not sure:
        unchanged = "" if n_looked else "No version changed between them. "
        said.append(f"{unchanged}No step is clearly larger than the variation between runs (`--repeats`, or more"
                    " sweeps of the same cells, resolve smaller ones).")  # fmt: skip
    n_alone = sum(step.is_of_one_sweep for step in sure)
    if n_alone:
        said.append(f"In {n_alone:,} of these {counted(len(sure), 'step')} one side is a single sweep, so whatever else"
                    " changed on the machine between the two is attributed to the version: alternating sweeps with"
                    " both versions separates the two.")  # fmt: skip
    if not found:
        said.append("Nothing can be followed over time: no cell was measured twice on one machine.")
    return said


def draw(path: Path, found: Sequence[Series], sweeps: Sequence[Sweep]) -> str | None:
    """The speed of recurring cells over that of their first sweep, sweep by sweep; None where there are none."""
    shown = sorted(found, key=lambda one: -len(one.points))[:MAX_LINES]
    if not shown:
        return None
    order = {id(sweep): i for i, sweep in enumerate(sweeps)}
    lines = [
        Line(label=one.name, kind=one.name, x=[order[id(p.sweep)] for p in one.points],
             y=[Figure(value=p.speed / one.points[0].speed) for p in one.points])
        for one in shown
    ]  # fmt: skip
    with panels.panels(path, 1, size=(panels.WIDTH, panels.HEIGHT)) as (drawn, (axes,)):
        draw_series(axes, lines)
        axes.axhline(1, color=panels.GREY, linewidth=0.8, zorder=1)
        used = sorted({x for line in lines for x in map(int, line.x)})
        every = -(-len(used) // MAX_TICKS)
        ticks = used[::every]
        axes.set_xticks(ticks, [f"{sweeps[i].day}\ntorch {sweeps[i].version('torch_version')}" for i in ticks],
                        rotation=60, ha="right", fontsize=8)  # fmt: skip
        panels.legend_beside(drawn, axes, panels.n_shown(len(shown), len(found)))
        axes.set(title="Cells over time", ylabel="speed over the first sweep's")
    return (
        f"Speed over that of the first sweep, sweep by sweep, {panels.named([one.name for one in shown], len(found))}"
    )


def build(sweeps: Sequence[Sweep], lost: Sequence[str], folder: Path) -> str:
    """The Markdown of a page in ``folder``; its figure is written beside it."""
    found = series_of(sweeps)
    steps = steps_of(found)
    path = folder / "figures" / "history.png"
    told = draw(path, found, sweeps)
    return render(
        "subjects/history/page.md.j2", title="History of sweeps", answer=answer(sweeps, found, steps),
        caveats=[f"Left out: {escape(text)}." for text in lost],
        steps=steps_table(steps), figures=Drawings(figures=[] if told is None else [(path, told)]),
        series=series_table(found, sweeps), index=index_table(sweeps, folder), environment="",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    options: Any = parser("All sweeps of a folder, and how the cells that recur have changed.").parse_args(arguments)
    sweeps, lost = all_sweeps(options.results)
    first = Path(options.results[0])
    target = options.output or (first if first.is_dir() else first.parent) / "report_history.md"
    with writing(target):
        sys.stdout.write(f"{write_page(target, build(sweeps, lost, target.parent), html=options.html)}\n")
    return 0
