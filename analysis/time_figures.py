"""What changes with time: the tail of the latency as requests come faster, and accuracy as training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import summaries
from analysis.cells import label, varying
from analysis.figure_lines import MAX_LINES, WIDTH, colour_columns, drawable, fastest_lines, limit_line
from analysis.grouping import Group, of
from analysis.limits import Limits
from analysis.panels import legend_beside, panels, value_axis
from analysis.ratios import Figure
from analysis.recommend import SERVER
from analysis.series import Series, draw_series, mark_every


def draw_load(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """The 99th percentile over the rate of arrivals."""
    done = summaries.complete(group.cells)
    cells = drawable(done[(done["scenario"] == SERVER) & done["latency_p99_s"].notna() & done["rate_per_s"].notna()])
    if cells["rate_per_s"].nunique() < 2:
        return None
    lines = fastest_lines(cells, "rate_per_s")
    made = [line.series("rate_per_s", lambda row: Figure(value=1e3 * row["latency_p99_s"])) for line in lines.shown]
    deadlines = cells["deadline_s"].dropna().unique()
    limit = limits.max_latency_ms or (1e3 * float(deadlines[0]) if len(deadlines) == 1 else None)
    with panels(path, 1, size=(WIDTH, 3.6)) as (drawn, (axes,)):
        draw_series(axes, made)
        if limit is not None:
            limit_line(axes, limit, f"limit {limit:g} ms")
        value_axis(axes, [f.value for one in made for f in one.y if f.value is not None] + ([limit] if limit else []))
        axes.set_xlim(0, None)
        legend_beside(drawn, axes, heading=lines.heading)
        axes.set(title=f"99th percentile under load{of(group.name)}", xlabel="arrivals (requests/s)", ylabel="p99 (ms)")
    return f"99th percentile of the latency over the rate of arrivals{of(group.name)}"


def draw_accuracy(path: Path, group: Group, rounds: pd.DataFrame, limits: Limits) -> str | None:
    """Held-out accuracy over the time trained; None where nothing was trained."""
    done = drawable(summaries.complete(group.cells))
    curves = summaries.curves(done, rounds)
    if not curves:
        return None
    ranked = sorted(range(len(curves)), key=lambda i: -float(curves[i][1]["accuracy"].max()))[:MAX_LINES]
    shown = [curves[i] for i in sorted(ranked)]
    targets = done["target_accuracy"].dropna().unique()
    target = float(targets[0]) if limits.min_accuracy is None and len(targets) == 1 else limits.min_accuracy
    with panels(path, 1, size=(WIDTH, 4.0)) as (drawn, (axes,)):
        draw_series(axes, _accuracies(done, shown), mark_every=mark_every([len(curve) for _, curve in shown]))
        if target is not None:
            limit_line(axes, 100 * target, f"target {100 * target:g} %")
        axes.set_ylim(0, 103)
        axes.set_xlim(0, None)
        legend_beside(drawn, axes)
        axes.set(
            title=f"Held-out accuracy over training time{of(group.name)}",
            xlabel="training time (s), evaluation left out", ylabel="held-out accuracy (%)",
        )  # fmt: skip
    best = max(float(curve["accuracy"].max()) for _, curve in shown)
    settings = "1 setting" if len(shown) == 1 else f"{len(shown)} settings"
    return f"Held-out accuracy over training time{of(group.name)}, {settings}; the best reaches {100 * best:.1f} %"


def _accuracies(done: pd.DataFrame, shown: Sequence[tuple[summaries.Row, pd.DataFrame]]) -> list[Series]:
    """Curves with the device's colour, on a single device the precision's; the other settings give the marker."""
    names = [c for c in summaries.setting_columns(done) if c == "device" or varying(done, [c])]
    where = colour_columns(done, names)
    rest = [c for c in names if c not in where]
    return [
        Series(
            label=label(row, names), group=label(row, where), kind=label(row, rest), x=curve["elapsed_s"].tolist(),
            y=[Figure(value=100 * float(accuracy)) for accuracy in curve["accuracy"]],
        )
        for row, curve in shown
    ]  # fmt: skip
