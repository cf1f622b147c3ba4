"""Figures of a cell's samples (trace, empirical distribution, autocorrelation) and of runs in their order."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from analysis.cells.groups import Group, groups, of
from analysis.figures.lines import Series, draw_series
from analysis.figures.panels import GREY, INK, WIDTH, legend_beside, legend_right, log_ticks, panels
from analysis.figures.style import COLOURS
from analysis.stats.estimate import Figure
from analysis.subjects.distributions.samples import Floats, Run, Sampled
from analysis.text import counted, number, seconds_as_ms

MAX_DRAWN = 4000
"""Samples of a run that its trace has, and all over the 99th percentile; more lie upon one another."""
MAX_VECTORS = 1000
"""Of more an HTML page has a picture instead of outlines."""
MAX_LINEAR_RATIO = 4
HEIGHT = 7.4
TITLE_CHARACTERS = 80  # a longer title goes on in the next line


def draw_samples(path: Path, cell: Sampled) -> str | None:
    """Samples over time, the share of samples up to each, and how alike neighbours are; None of constant ones."""
    if not cell.alike.size:
        return None
    what = "latency (ms)" if cell.is_server else "step (ms)"
    with panels(path, 3, size=(WIDTH, HEIGHT), share_x=False) as (drawn, (trace, shares, alike)):
        begin = 0.0
        for i, run in enumerate(cell.runs):
            colour = COLOURS[i % len(COLOURS)]
            begin = _draw_trace(trace, run, begin, colour, is_server=cell.is_server)
            told = np.linspace(0, 1, min(len(run.seconds), 1001))
            values = np.quantile(1e3 * run.seconds, told, method="inverted_cdf")
            shares.step(values, told, where="post", color=colour, linewidth=1.2, label=f"run {i + 1}")
        _draw_alike(alike, cell)
        if cell.seconds.max() > MAX_LINEAR_RATIO * cell.seconds.min() > 0:
            for axes, axis in ((trace, trace.yaxis), (shares, shares.xaxis)):
                axes.set(**{"yscale" if axes is trace else "xscale": "log"})
                log_ticks(axis, (1.0, 2.0, 5.0) if cell.seconds.max() < 1000 * cell.seconds.min() else (1.0,))
        trace.set(title=textwrap.fill(f"Samples of {cell.name}", TITLE_CHARACTERS), ylabel=what,
                  xlabel="request" if cell.is_server else "time measured (s); grey: a round begins")  # fmt: skip
        shares.set(xlabel=what, ylabel="share of samples", ylim=(0, 1.02))
        legend_beside(drawn, shares)
        drawn.align_ylabels()
    of_runs = f" of {counted(len(cell.runs), 'run')}" if len(cell.runs) > 1 else ""
    return (f"Samples of {cell.name}: over time, as an empirical distribution and their autocorrelation,"
            f" {len(cell.seconds):,} samples{of_runs}, median {seconds_as_ms(np.median(cell.seconds))} ms,"
            f" correlation of neighbouring samples {number(cell.alike[1], 2)}")  # fmt: skip


def draw_order(path: Path, runs: Group) -> str | None:
    """The speed of each run over the mean of its cell's, over the time at which it began."""
    if len(runs.cells) < 2:
        return None
    title = f"Runs in the order in which they ran{of(runs.name)}"
    lines = [
        Series(label=one.name, kind=one.name, x=one.cells["minutes"].tolist(),
               y=[Figure(value=float(ratio)) for ratio in one.cells["speed_ratio"]])
        for one in groups(runs.cells, ["device"])
    ]  # fmt: skip
    with panels(path) as (_, (axes,)):
        axes.axhline(1, color=GREY, linewidth=0.8, zorder=1)
        draw_series(axes, lines, joined=False)
        axes.set(title=title, xlabel="began after (min)", ylabel="speed over the mean of the cell's runs")
        legend_right(axes)
    return f"{title}: speed of {counted(len(runs.cells), 'run')} over the mean of their cells' runs"


def _draw_trace(axes: Axes, run: Run, begin: float, colour: str, *, is_server: bool) -> float:
    """The samples of a run behind those of the one before, where they begin; where they end."""
    ms: Floats = 1e3 * run.seconds
    lengths = np.ones_like(ms) if is_server else run.seconds * run.n_steps
    at = begin + np.cumsum(lengths)
    kept = np.arange(len(ms)) % -(-len(ms) // MAX_DRAWN) == 0
    kept |= ms > np.quantile(ms, 0.99)
    axes.plot(at[kept], ms[kept], linestyle="", marker=".", markersize=3, color=colour,
              rasterized=bool(kept.sum() > MAX_VECTORS))  # fmt: skip
    for start in (begin, *at[np.flatnonzero(np.diff(run.rounds))]):
        axes.axvline(start, color="#cccccc", linewidth=0.8, zorder=0)
    axes.grid(visible=False, axis="x")
    return float(at[-1])


def _draw_alike(axes: Axes, cell: Sampled) -> None:
    """The autocorrelation, and the band that 95 % of independent samples would stay in."""
    band = 1.96 / np.sqrt(len(cell.seconds))
    axes.axhspan(-band, band, color="#dddddd", linewidth=0)
    axes.vlines(range(1, len(cell.alike)), 0, cell.alike[1:], color=INK, linewidth=1.4)
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(xlabel="samples between; grey: 95 % of independent samples", ylabel="autocorrelation")
