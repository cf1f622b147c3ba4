"""Cell by cell in sentences: what is certain of a side, what is shown to be the same, and what nobody can say yet."""

from __future__ import annotations

import math
from typing import Any

from analysis.stats.estimate import Figure, of_row
from analysis.stats.told_apart import excludes_one
from analysis.text import counted, escape, significant


def figure(row: dict[str, Any]) -> Figure:
    """A row's ratio with its interval."""
    return of_row(row, ("ratio", "ratio_low", "ratio_high"))


def percent(change: float) -> str:
    """``3.2 %`` of 0.032."""
    return f"{significant(100 * change, 2)} %"


def by_cells(row: dict[str, Any], baseline: str, min_change: float) -> list[str]:
    """The verdicts of one side's cells, of all together, and what could have been found; Markdown."""
    side, other, n = escape(row["side"]), escape(baseline), row["n_cells"]
    if not n:
        return [f"{side} and {other} share no completed cell."]
    if not row["n_repeated"]:
        return [_once(row, side, other)]
    mean = f", geometric mean of {counted(n)}" if n > 1 else ""
    counts = ", ".join(f"{row[word]:,} {told}" for word, told in _WORDS.items() if row[word] or word not in _RARE)
    found = f"{_found(row, side, other, min_change)}: {figure(row).factor_text} the speed{mean}"
    return [f"{found}{f' ({counts})' if n > 1 else ''}.", *_power(row)]


_WORDS = {"faster": "faster", "slower": "slower", "same": "the same", "unclear": "unclear", "one run": "run once",
          "disturbed": "disturbed by other work"}  # fmt: skip
_RARE = ("one run", "disturbed")


def _found(row: dict[str, Any], side: str, other: str, min_change: float) -> str:
    n, faster, slower = row["n_cells"], row["faster"], row["slower"]
    every = f"in all {counted(n, 'matched cell')}" if n > 1 else "in the one matched cell"
    of = f"of {counted(n, 'matched cell')}"
    if faster and slower:
        return f"**{side} is faster than {other} in {faster:,} {of} and slower in {slower:,}**"
    if faster or slower:
        where = every if faster + slower == n else f"in {faster + slower:,} {of}"
        return f"**{side} is {'faster' if faster else 'slower'} than {other} {where}**"
    if row["verdict"] in ("faster", "slower"):
        return (
            f"**{side} is {row['verdict']} than {other} over {every[3:]} together**, but in none of them individually"
        )
    if row["same"] == n:
        return f"**{side} is as fast as {other}**, shown to within {100 * min_change:g} % {every}"
    return _undecided(row, side, other, f"{100 * min_change:g} %")


def _undecided(row: dict[str, Any], side: str, other: str, least: str) -> str:
    if row["disturbed"] == row["n_cells"]:
        return f"**{side} and {other} were measured while other work was running**, so there is no verdict"
    if excludes_one(figure(row)):
        return f"**No cell of {side} is shown to be more than {least} faster or slower than {other}'s**"
    told = f"**{side} and {other} are statistically indistinguishable**"
    return f"{told}, but not shown to be equally fast to within {least}"


def _power(row: dict[str, Any]) -> list[str]:
    """How far runs differ, and which change would have been found, so that silence is not taken for sameness."""
    told = [f"{percent(row[name] - 1)} {of}" for name, of in (("smallest_cell", "in one cell"),
            ("smallest_shift", "common to all cells")) if math.isfinite(row[name])]  # fmt: skip
    if not told:
        return []
    return [f"Runs of one cell differ by {percent(row['spread'])} (standard deviation, from"
            f" {counted(int(row['n_spread']))}), so four out of five such comparisons would detect a slowdown of"
            f" {' or one of '.join(told)}."]  # fmt: skip


def _once(row: dict[str, Any], side: str, other: str) -> str:
    """Runs that differ, without a verdict, and how far runs of the same thing do, as far as that was measured."""
    n, ratio, moved = row["n_cells"], row["ratio"], row["moved"]
    change = max(ratio, 1 / ratio) - 1
    mean = f", geometric mean of {counted(n)}" if n > 1 else ""
    how = "differ by" if change < 1 else "differ by a factor of"
    amount = percent(change) if change < 1 else significant(1 + change)
    said = (f"**These runs {how} {amount}**: {side} ran at {figure(row).factor_text} the speed of {other}, one run per"
            f" side{mean}. This is not a verdict")  # fmt: skip
    if not row["n_spread"]:
        return (f"{said}: how much this machine varies by itself is unknown, since no cell was measured twice."
                " `--repeats 5` on each side shows it.")  # fmt: skip
    told = f"a cell changed by up to {percent(moved - 1)} when measured again ({counted(int(row['n_spread']))})"
    if max(ratio, 1 / ratio) <= moved:
        return f"{said}: the difference is within this machine's own variation: {told}."
    return f"{said}, though {told}. `--repeats 5` on each side decides it."
