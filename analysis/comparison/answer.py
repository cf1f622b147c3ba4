"""The sentences that a comparison begins with: how much faster each side is, at its best and cell by cell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.cells.naming import label, labels, varying
from analysis.cells.rows import records
from analysis.comparison.comparison import Comparison
from analysis.comparison.verdicts import by_cells, figure
from analysis.contract.cells import SETTINGS, TASK_COLUMNS
from analysis.stats.estimate import geometric_mean, known
from analysis.text import counted, escape, listed, number, significant, some

MAX_NAMED = 3
"""Cells or pieces of work that a sentence names; the tables have all."""


def answer(comparison: Comparison, best: pd.DataFrame, baseline: str) -> list[str]:
    """Sentences in Markdown: each side at its best, cell by cell, energy and memory, and whether it is a regression."""
    said = []
    for row in records(comparison.sides):
        at_its_best = _at_its_best(best, row["side"], baseline, has_cells=bool(row["n_cells"]))
        by_cell = by_cells(row, baseline, comparison.min_change)
        # What is measured alike comes first; machines with different devices may share no cell that matters.
        said += [*by_cell, *at_its_best] if row["n_cells"] else [*at_its_best, *by_cell]
        said += _energy_and_memory(comparison.cells[comparison.cells["side"] == row["side"]], row["side"], baseline)
    regressed = regression(comparison, baseline)
    return [*said, *([f"**Regression**: {escape(regressed)}."] if regressed else [])]


def _at_its_best(best: pd.DataFrame, side: str, baseline: str, *, has_cells: bool) -> list[str]:
    """The fastest settings of a side against the baseline's fastest; nothing where that is said cell by cell anyway."""
    ours, theirs = (best[best["side"] == name].reset_index(drop=True) for name in (baseline, side))
    settings = [c for c in SETTINGS if c in best]
    if has_cells and ours[settings].astype(str).equals(theirs[settings].astype(str)):
        return []
    return [*_told_at_best(best, side, baseline, mark="" if has_cells else "**"), *_unfair(theirs)]


def _unfair(rows: pd.DataFrame) -> list[str]:
    """A best whose settings the other side was never measured with is its best, and no proof of the machine's."""
    told = list(dict.fromkeys(text for text in rows["untried"] if isinstance(text, str) and text))
    return [f"Not measured with the same settings: {escape(some(told, MAX_NAMED, '; '))}."] if told else []


def _told_at_best(best: pd.DataFrame, side: str, baseline: str, mark: str) -> list[str]:
    work, settings = ([c for c in columns if c in best] for columns in (TASK_COLUMNS, SETTINGS))
    ours, theirs = (best[best["side"] == name] for name in (baseline, side))
    pairs = [(a, b) for a, b in zip(records(ours), records(theirs), strict=True) if known(b["ratio"]) is not None]
    if len(pairs) > MAX_NAMED:
        return [_over_all_work([b for _, b in pairs], varying(best, work), side, baseline, mark)]
    said = []
    for a, b in pairs:
        names = varying(best, work)
        subject = f"{escape(label(b, names))}: at its best" if names else "At its best"
        item, frugal = escape(b["item"] or "items"), known(b["energy_ratio"])
        rates = [f"{number(r['throughput_items_per_s'])} {item}/s ({escape(label(r, settings))})" for r in (b, a)]
        energy = f"; {significant(frugal)}x the {item} per joule" if frugal else ""
        said.append(f"{subject}, {mark}{escape(side)} runs at {figure(b).factor_text} the speed of {escape(baseline)}"
                    f"{mark}: {rates[0]} against {rates[1]}{energy}.")  # fmt: skip
    return said


def _over_all_work(rows: Sequence[dict[str, Any]], names: Sequence[str], side: str, baseline: str, mark: str) -> str:
    least, most = (choose(rows, key=lambda r: float(r["ratio"])) for choose in (min, max))
    told = [f"{figure(r).text} ({escape(label(r, names))})" for r in (least, most)]
    mean = geometric_mean([figure(r) for r in rows]).factor_text
    return (f"At its best, {mark}{escape(side)} runs at {mean} the speed of {escape(baseline)}{mark}, geometric mean"
            f" over {len(rows)} pieces of work, from {told[0]} to {told[1]}.")  # fmt: skip


def _energy_and_memory(frame: pd.DataFrame, side: str, baseline: str) -> list[str]:
    """Geometric means of the joules per item and the peak bytes over the baseline's, where known."""
    told = []
    for column, word in (("energy_ratio", "joules per item"), ("memory_ratio", "peak memory")):
        ratios = frame[column].dropna().tolist()
        if len(ratios):
            mean = statistics.geometric_mean(ratios)
            of = f" (geometric mean of {counted(len(ratios))})" if len(ratios) > 1 else ""
            told.append(f"{significant(mean, 3)}x the {word}{of}")
    return [f"Compared with {escape(baseline)}, {escape(side)} takes {' and '.join(told)}."] if told else []


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
    sides = comparison.sides
    together = sides[(sides["verdict"] == "slower") & (sides["slower"] < sides["n_cells"])]
    told += [f"all cells together slower{' in ' + r['side'] if several else ''} ({significant(r['shift'])}x the"
             " speed)" for r in records(together)]  # fmt: skip
    return f"against {baseline}, {listed(told)}" if told else None


def undecided(comparison: Comparison, baseline: str) -> str | None:
    """What is not known of which cells, not escaped; None where each is as fast as in the baseline or faster."""
    verdicts = comparison.cells["verdict"]
    if comparison.cells.empty:
        return f"no cell was measured both in {baseline} and in another side"
    counts = [(int((verdicts == word).sum()), told) for word, told in _OPEN.items()]
    told = [f"{counted(n)} {text}" for n, text in counts if n]
    return f"against {baseline}, {listed(told)}" if told else None


_OPEN = {
    "unclear": "neither shown to be slower nor shown to be as fast",
    "one run": "run only once on a side, which says nothing about the next run (`--repeats 5` does)",
    "disturbed": "measured while other work took over a tenth of the machine",
}
"""The verdicts that decide nothing, in words."""
