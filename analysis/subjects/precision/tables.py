"""Sentences and tables of a precision report, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.usable import speed
from analysis.stats.estimate import known
from analysis.subjects.precision.quantities import AGREEMENT, Overview, Pair, accuracy_change, place
from analysis.text import MISSING, escape, is_missing, significant, table

MAX_ROWS = 500
_OF = {"max_abs_diff": "max abs diff", "max_softmax_diff": "max softmax diff", "top1_agreement_ratio": "top-1 (%)"}


def _shown(name: str, value: object) -> str:
    """A figure of agreement: shares in per cent, differences with two digits."""
    found = known(value)
    if found is None:
        return MISSING
    return f"{100 * found:.2f}" if name == "top1_agreement_ratio" else significant(found, 2)


def _named(*words: str) -> str:
    return escape(", ".join(word for word in words if word))


def _number(value: float | None) -> str:
    return MISSING if value is None else significant(value, 2)


def overview_table(overviews: Sequence[Overview]) -> str:
    """A row for each task, device and precision."""
    rows = []
    for o in overviews:
        agreement = [_shown(name, worst[name]) for name in _with_values(overviews) for worst in (o.worst, o.base_worst)]
        rows.append([
            _named(o.task, o.place), escape(o.precision), f"{o.n_cells}", o.speed.full_text,
            f"{_number(o.slowest)} to {_number(o.fastest)}", o.best.full_text, _number(o.memory), _number(o.energy),
            *agreement,
        ])  # fmt: skip
    headers = ["device", "precision", "cells", "speed over fp32 (geometric mean, 95 % interval)", "range",
               "best over fp32's best", "memory over fp32", "energy over fp32"]  # fmt: skip
    for name in _with_values(overviews):
        headers += [f"{'lowest ' if name == AGREEMENT[2] else ''}{_OF[name]}", f"fp32's {_OF[name]}"]
    return table(headers, rows, n_left=2) if rows else ""


def _with_values(overviews: Sequence[Overview]) -> list[str]:
    return [n for n in AGREEMENT if any(o.worst[n] is not None or o.base_worst[n] is not None for o in overviews)]


def pairs_table(pairs: Sequence[Pair], item: str) -> str:
    """Every pair of which both cells were measured; at most ``MAX_ROWS``."""
    shown = list(pairs)[:MAX_ROWS]
    names = [n for n in AGREEMENT if any(not is_missing(p.row[n]) for p in shown)]
    trained = any(accuracy_change(p) is not None for p in shown)
    rows = []
    for p in shown:
        change = accuracy_change(p)
        rows.append([
            _named(p.task, p.place, p.kind), escape(p.precision), f"{p.batch_size:,.0f}", speed(p.base).text,
            speed(p.row).text, p.speed.text, p.speed.interval_text, _number(p.memory), _number(p.energy),
            *(_shown(name, row[name]) for name in names for row in (p.row, p.base)),
            *([MISSING if change is None else f"{100 * change:+.1f}"] if trained else []),
        ])  # fmt: skip
    headers = ["device", "precision", "batch size", f"fp32 ({item}/s)", f"throughput ({item}/s)", "speed over fp32",
               "95 % interval", "memory over fp32", "energy over fp32"]  # fmt: skip
    for name in names:
        headers += [_OF[name], f"fp32's {_OF[name]}"]
    headers += ["accuracy gained (points)"] if trained else []
    return table(headers, rows, n_left=2) if rows else ""


def outcomes_table(pairs: Sequence[Pair]) -> str:
    """Cells that worked in one of the two precisions only; at most ``MAX_ROWS``."""
    rows = []
    for p in list(pairs)[:MAX_ROWS]:
        failed = p.row if known(p.row["throughput_items_per_s"]) is None or p.base["status"] == "complete" else p.base
        said = [failed[c] for c in ("status_reason", "error_message") if not is_missing(failed[c])]
        text = ": ".join(dict.fromkeys(str(s) for s in said))[:240]
        rows.append([_named(p.task, place(p.row), p.kind), f"{p.batch_size:,.0f}", escape(p.precision),
                     escape(p.row["status"]), escape(p.base["status"]), escape(text)])  # fmt: skip
    headers = ["device", "batch size", "precision", "its status", "status of fp32", "reason"]
    return table(headers, rows) if rows else ""
