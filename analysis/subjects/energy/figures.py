"""Figures of energy: items per joule over batch size; what is traded for it is ``figures.front``'s."""

from __future__ import annotations

from pathlib import Path

from analysis.cells.groups import Group, groups, line_columns, of
from analysis.cells.rows import items
from analysis.figures.front import Trade, foremost
from analysis.figures.lines import Series, draw_series, values
from analysis.figures.panels import batch_axis, legend_right, named, panels, value_axis
from analysis.stats.estimate import Figure

ENERGY = Trade(column="energy_per_item_j", name="energy", axis="energy (J per {item})")


def draw_over_batch(path: Path, domain: Group) -> str | None:
    """Items per joule over the batch size; None, and no file, where no line has two batch sizes."""
    lines = []
    found = groups(domain.cells, line_columns(domain.cells))
    several = [g for g in found if g.cells["batch_size"].nunique() > 1]
    for group in foremost(several, ENERGY):
        known = group.cells.sort_values("batch_size", kind="stable").drop_duplicates("batch_size")
        frugality = [Figure(value=1 / float(joules)) for joules in known["energy_per_item_j"]]
        lines.append(Series(label=group.name, kind=group.name, x=known["batch_size"].tolist(), y=frugality))
    if not lines:
        return None
    item = items(domain.row)
    title = f"{item.capitalize()} per joule over batch size{of(domain.name)}"
    with panels(path) as (_, (axes,)):
        draw_series(axes, lines)
        batch_axis(axes, [x for line in lines for x in line.x])
        value_axis(axes, values(lines))
        legend_right(axes)
        axes.set(title=title, xlabel="batch size", ylabel=f"{item} per joule")
    return f"{title}, {named([line.label for line in lines], len(several))}"
