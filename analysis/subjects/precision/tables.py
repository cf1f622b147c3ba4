"""The tables of the report on precisions, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.rows import Row
from analysis.cells.usable import speed
from analysis.page.columns import Column, column_table
from analysis.stats.estimate import known
from analysis.subjects.precision.quantities import AGREEMENT, Overview, Pair, accuracy_change, place, unequal_outcomes
from analysis.text import MISSING, escape, is_missing, joined, significant

_OF = {"max_abs_diff": "max abs diff", "max_softmax_diff": "max softmax diff", "top1_agreement_ratio": "top-1 (%)"}


def _shown(name: str, value: object) -> str:
    """A figure of agreement: shares in per cent, differences with two digits."""
    found = known(value)
    if found is None:
        return MISSING
    return f"{100 * found:.2f}" if name == "top1_agreement_ratio" else significant(found, 2)


def ratio_text(value: float | None) -> str:
    """A ratio with two digits."""
    return MISSING if value is None else significant(value, 2)


def tables(overviews: Sequence[Overview], pairs: Sequence[Pair], item: str) -> dict[str, str]:
    """The page's tables, by the names that its template has for them."""
    return {
        "overview": overview_table(overviews), "outcomes": outcomes_table(unequal_outcomes(pairs)),
        "cells": pairs_table([pair for pair in pairs if pair.is_measured], item),
    }  # fmt: skip


def overview_table(overviews: Sequence[Overview]) -> str:
    """A row for each task, device and precision."""
    columns = [
        Column("device", lambda o: escape(joined(o.task, o.place))),
        Column("precision", lambda o: escape(o.precision)),
        Column("cells", lambda o: f"{o.n_cells}"),
        Column("speed over fp32 (geometric mean, 95 % interval)", lambda o: o.speed.full_text),
        Column("range", lambda o: f"{ratio_text(o.slowest)} to {ratio_text(o.fastest)}"),
        Column("best over fp32's best", lambda o: o.best.full_text),
        Column("memory over fp32", lambda o: ratio_text(o.memory)),
        Column("energy over fp32", lambda o: ratio_text(o.energy)),
    ]
    for name in AGREEMENT:
        if any(o.worst[name] is not None or o.base_worst[name] is not None for o in overviews):
            lowest = "lowest " if name == "top1_agreement_ratio" else ""
            columns += [
                Column(f"{lowest}{_OF[name]}", lambda o, name=name: _shown(name, o.worst[name])),  # type: ignore[misc]
                Column(f"fp32's {_OF[name]}", lambda o, name=name: _shown(name, o.base_worst[name])),  # type: ignore[misc]
            ]
    return column_table(overviews, columns, n_left=2)


def pairs_table(pairs: Sequence[Pair], item: str) -> str:
    """Every pair of which both cells were measured."""
    columns = [
        Column("device", lambda p: escape(joined(p.task, p.place, p.kind))),
        Column("precision", lambda p: escape(p.precision)),
        Column("batch size", lambda p: f"{p.batch_size:,.0f}"),
        Column(f"fp32 ({item}/s)", lambda p: speed(p.base).text),
        Column(f"throughput ({item}/s)", lambda p: speed(p.row).text),
        Column("speed over fp32", lambda p: p.speed.text),
        Column("95 % interval", lambda p: p.speed.interval_text),
        Column("memory over fp32", lambda p: ratio_text(p.memory)),
        Column("energy over fp32", lambda p: ratio_text(p.energy)),
    ]
    for name in AGREEMENT:
        if any(not is_missing(p.row[name]) for p in pairs):
            columns += [
                Column(_OF[name], lambda p, name=name: _shown(name, p.row[name])),  # type: ignore[misc]
                Column(f"fp32's {_OF[name]}", lambda p, name=name: _shown(name, p.base[name])),  # type: ignore[misc]
            ]
    if any(accuracy_change(p) is not None for p in pairs):
        columns.append(Column("accuracy gained (points)", _gained))
    return column_table(pairs, columns, n_left=2)


def _gained(pair: Pair) -> str:
    change = accuracy_change(pair)
    return MISSING if change is None else f"{100 * change:+.1f}"


def outcomes_table(pairs: Sequence[Pair]) -> str:
    """Cells that worked in one of the two precisions only."""
    return column_table(pairs, [
        Column("device", lambda p: escape(joined(p.task, place(p.row), p.kind))),
        Column("batch size", lambda p: f"{p.batch_size:,.0f}"),
        Column("precision", lambda p: escape(p.precision)),
        Column("its status", lambda p: escape(p.row["status"])),
        Column("status of fp32", lambda p: escape(p.base["status"])),
        Column("reason", lambda p: escape(_reason(p))),
    ])  # fmt: skip


def _reason(pair: Pair) -> str:
    """Why the one of the two failed."""
    row, base = pair.row, pair.base
    failed: Row = row if known(row["throughput_items_per_s"]) is None or base["status"] == "complete" else base
    said = [failed[c] for c in ("status_reason", "error_message") if not is_missing(failed[c])]
    return ": ".join(dict.fromkeys(str(s) for s in said))[:240]
