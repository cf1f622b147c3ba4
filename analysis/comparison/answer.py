"""The sentences that a comparison begins with: how much faster each side is, at its best and cell by cell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.cells.naming import label, labels, varying
from analysis.cells.rows import records
from analysis.comparison.comparison import Comparison
from analysis.contract.cells import SETTINGS, TASK_COLUMNS
from analysis.stats.estimate import Figure, geometric_mean, known, of_row
from analysis.text import counted, escape, number, significant, some

MAX_NAMED = 3
"""Cells or pieces of work that a sentence names; the tables have all."""


def figure(row: dict[str, Any]) -> Figure:
    """A row's ratio with its interval."""
    return of_row(row, ("ratio", "ratio_low", "ratio_high"))


def answer(comparison: Comparison, best: pd.DataFrame, baseline: str) -> list[str]:
    """Sentences in Markdown: each side at its best, cell by cell, energy and memory, and whether it is a regression."""
    said = []
    for row in records(comparison.sides):
        at_its_best = _at_its_best(best, row["side"], baseline, has_cells=bool(row["n_cells"]))
        # What is measured alike comes first; machines with different devices may share no cell that matters.
        said += [_by_cell(row, baseline), *at_its_best] if row["n_cells"] else [*at_its_best, _by_cell(row, baseline)]
        said += _energy_and_memory(comparison.cells[comparison.cells["side"] == row["side"]], row["side"], baseline)
    regressed = regression(comparison, baseline)
    return [*said, *([f"**Regression**: {escape(regressed)}."] if regressed else [])]


def _by_cell(row: dict[str, Any], baseline: str) -> str:
    """The verdicts of one side's cells and their geometric mean."""
    side, other, n = escape(row["side"]), escape(baseline), row["n_cells"]
    if not n:
        return f"{side} and {other} share no completed cell."
    every = f"in all {counted(n, 'matched cell')}" if n > 1 else "in the one matched cell"
    faster, slower = row["faster"], row["slower"]
    of = f"of {counted(n, 'matched cell')}"
    if faster and slower:
        found = f"**{side} is faster than {other} in {faster:,} {of} and slower in {slower:,}**"
    elif faster or slower:
        word = "faster" if faster else "slower"
        where = every if faster + slower == n else f"in {faster + slower:,} {of}"
        found = f"**{side} is {word} than {other} {where}**"
    elif row["same"] == n:
        found = f"**{side} is as fast as {other}**, within 5 % {every}"
    else:
        found = f"**No cell of {side} is certainly faster or slower than {other}'s**"
    mean = f", geometric mean of {counted(n)}" if n > 1 else ""
    counts = f" ({faster:,} faster, {slower:,} slower, {row['same']:,} the same, {row['unclear']:,} unclear)"
    return f"{found}: {figure(row).full_text} times the speed{mean}{counts if n > 1 else ''}."


def _at_its_best(best: pd.DataFrame, side: str, baseline: str, *, has_cells: bool) -> list[str]:
    """The fastest settings of a side against the baseline's fastest; nothing where that is said cell by cell anyway."""
    work = [c for c in TASK_COLUMNS if c in best]
    ours, theirs = (best[best["side"] == name].reset_index(drop=True) for name in (baseline, side))
    settings = [c for c in SETTINGS if c in best]
    if has_cells and ours[settings].astype(str).equals(theirs[settings].astype(str)):
        return []
    mark = "" if has_cells else "**"
    pairs = [(a, b) for a, b in zip(records(ours), records(theirs), strict=True) if known(b["ratio"]) is not None]
    if len(pairs) > MAX_NAMED:
        return [_over_all_work([b for _, b in pairs], varying(best, work), side, baseline, mark)]
    said = []
    for a, b in pairs:
        names = varying(best, work)
        subject = f"{escape(label(b, names))}: at its best" if names else "At its best"
        item, frugal = escape(b["item"] or "items"), known(b["energy_ratio"])
        rates = [f"{number(r['throughput_items_per_s'])} {item}/s ({escape(label(r, settings))})" for r in (b, a)]
        energy = f"; {significant(frugal)} times the {item} per joule" if frugal else ""
        said.append(f"{subject}, {mark}{escape(side)} does {figure(b).full_text} times the work of {escape(baseline)}"
                    f"{mark}: {rates[0]} against {rates[1]}{energy}.")  # fmt: skip
    return said


def _over_all_work(rows: Sequence[dict[str, Any]], names: Sequence[str], side: str, baseline: str, mark: str) -> str:
    least, most = (choose(rows, key=lambda r: float(r["ratio"])) for choose in (min, max))
    told = [f"{figure(r).text} ({escape(label(r, names))})" for r in (least, most)]
    mean = geometric_mean([figure(r) for r in rows]).full_text
    return (f"At its best, {mark}{escape(side)} does {mean} times the work of {escape(baseline)}{mark}, geometric mean"
            f" over {len(rows)} pieces of work, from {told[0]} to {told[1]}.")  # fmt: skip


def _energy_and_memory(frame: pd.DataFrame, side: str, baseline: str) -> list[str]:
    """Geometric means of the joules per item and the peak bytes over the baseline's, where known."""
    told = []
    for column, word in (("energy_ratio", "joules per item"), ("memory_ratio", "peak memory")):
        ratios = frame[column].dropna().tolist()
        if len(ratios):
            mean = statistics.geometric_mean(ratios)
            of = f" (geometric mean of {counted(len(ratios))})" if len(ratios) > 1 else ""
            told.append(f"{significant(mean, 3)} times the {word}{of}")
    return [f"{escape(side)} takes {' and '.join(told)} of {escape(baseline)}."] if told else []


def regression(comparison: Comparison, baseline: str) -> str | None:
    """Which cells are slower than in the baseline, or completed there and fail here, the worst named; not escaped."""
    names, several = varying(comparison.cells, comparison.key), len(comparison.sides) > 1
    slower = comparison.cells[comparison.cells["verdict"] == "slower"].sort_values("ratio", kind="stable")
    lost = comparison.outcomes[comparison.outcomes["baseline_status"] == "complete"]
    told = []
    for frame, word in ((slower, "slower"), (lost, "lost")):
        if frame.empty:
            continue
        words = names if word == "slower" else varying(comparison.outcomes, comparison.key) or ["device", "batch_size"]
        named = [f"{name}{' in ' + r['side'] if several else ''}:"
                 f" {figure(r).text if word == 'slower' else r['other_status']}"
                 for name, r in zip(labels(frame, words), records(frame), strict=True)]  # fmt: skip
        told.append(f"{counted(len(frame))} {word} ({some(named, MAX_NAMED, '; ')})")
    return f"against {baseline}, {' and '.join(told)}" if told else None
