"""The answer that a report begins with, in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from analysis.cells import usable
from analysis.cells.naming import label
from analysis.cells.ranking import Ranking, rank, speed
from analysis.cells.rows import Row, extreme, items, records, setting_columns
from analysis.contract.choice import UNSTABLE, doubts
from analysis.contract.limits import Limits
from analysis.page.caveats.machines import count_machines
from analysis.page.runs import spread_of
from analysis.recommendation import compilation
from analysis.recommendation import limits as limit_words
from analysis.recommendation.answering import training
from analysis.recommendation.answering.answer_table import answer_table
from analysis.recommendation.recommend import (
    Best,
    Task,
    frugal_words,
    most_frugal,
    tasks,
)
from analysis.stats.estimate import Figure, known
from analysis.stats.told_apart import excludes_one
from analysis.text import escape, is_missing, listed, seconds_as_ms, share, significant, some

NOTHING = "No cell of this sweep is complete, so there is nothing to recommend."
MAX_SENTENCES = 12
"""More sentences beside a table of tasks are not read; the tables have all."""
MAX_CLOSE = 2
LENGTHENED_BY = {"finetune": "--epochs"}
"""The option that makes a cell's window longer; a training ends with its epochs, whatever ``--min-s`` asks."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to use, in Markdown: of one task in sentences; of several a table, and what is said before and after it."""

    sentences: list[str]
    by_task: list[str]  # the whole of each task's answer, a paragraph each
    lead: str = ""
    table: str = ""


def answer(frame: pd.DataFrame, limits: Limits) -> Answer:
    """What to use for each task of a sweep."""
    found = tasks(frame)
    if not found:
        return Answer(sentences=[NOTHING], by_task=[NOTHING])
    tellers = [Teller(frame, task, limits) for task in found]
    by_task = [" ".join(teller.sentences()) for teller in tellers]
    if len(tellers) == 1:
        return Answer(sentences=[*tellers[0].sentences(), *_energy_known(frame)], by_task=by_task)
    said = [sentence for teller in tellers for sentence in teller.beside_table()][:MAX_SENTENCES]
    within = f" within {limit_words.told(limits)}" if limits.asked else ""
    lead = f"A setting to use{within} for each of {len(found):,} tasks, on each device."
    shared, table = answer_table(frame, found, limits)
    said += _energy_known(frame)
    return Answer(lead=f"{lead} {shared}".strip(), table=table, sentences=said, by_task=by_task)


def _energy_known(frame: pd.DataFrame) -> list[str]:
    """How many cells have their energy, and what would give it to the others; empty where all that can have it do.

    A cell that searches for its highest rate has no energy of one rate, and a device without a counter none at all.
    """
    is_unknown = bool(frame["items_per_j"].isna().all())
    if is_unknown and frame["energy_source"].isna().all():
        return ["Energy was not measured: no counter could be read."]
    counted = frame[(frame["status"] == "complete") & frame["energy_source"].notna() & frame["max_rate_per_s"].isna()]
    short = counted[counted["items_per_j"].isna()]
    if short.empty:
        return []
    options = dict.fromkeys(LENGTHENED_BY.get(str(name), "--min-s") for name in short["workload"].unique())
    why = f"shorter than ten periods of the counter (lengthen them with {' or '.join(options)})"
    if is_unknown:
        return [f"Energy was not measured: the cells were {why}."]
    return [f"Energy was measured for {len(counted) - len(short):,} of {len(counted):,} cells; the others were {why}."]


class Teller:
    """Words for one task of a sweep, whose whole frame decides what goes without saying."""

    def __init__(self, frame: pd.DataFrame, task: Task, limits: Limits) -> None:
        self._task, self._limits, self._limits_told = task, limits, limit_words.told(limits)
        self._within = f" within {self._limits_told}" if limits.asked else ""
        self._held = replace(task, cells=limit_words.within(limits, task.cells))
        self._names = setting_columns(frame)
        self._where = "On this machine" if count_machines(frame) < 2 else "Of these machines"
        workload = str(task.cells["workload"].iloc[0])
        is_named = task.name.split(", ")[0] == workload or not task.name
        self._subject = escape((task.name or workload) if is_named else f"{workload} ({task.name})")

    def sentences(self) -> list[str]:
        """The answer for this task, most important first."""
        best = self._held.best_per_device
        if not best:
            return [self._nothing()]
        others = [self._other(one) for one in best[1:]]
        if self._task.is_server:
            return [self._server(best[0]), *others, *self._training()]
        compiled = compilation.told(best[0].row, self._task.item)
        said = [self._fastest(best[0]), *([compiled] if compiled else []), *others]
        return said + self._close(best[0]) + self._training()

    def beside_table(self) -> list[str]:
        """What the table of several tasks cannot say of this one, beginning with its name."""
        if not self._held.best_per_device:
            return [self._nothing()]
        return [f"{escape(self._task.name)}: {sentence}" for sentence in self._training()]

    @cached_property
    def _first(self) -> Ranking:
        """The cell that the answer names, ranked among those of all devices."""
        ranking = rank(records(usable.usable(self._held.cells)), speed)
        assert ranking is not None, "asked for where there is a best cell"
        return ranking

    def _told(self, row: Row, *, like: Row | None = None) -> str:
        """A row's settings; of those that ``like`` shares nothing is said."""
        names = [c for c in self._names if like is None or label(row, [c]) != label(like, [c])]
        return escape(label(row, [c for c in names if c != "rate_per_s" or not self._task.is_server]))

    def _rate(self, row: Row) -> str:
        return f"{speed(row).text} {escape(self._task.item)}/s{spread_of(row)}"

    def _fastest(self, best: Best) -> str:
        row, ranking = best.row, self._first
        ratios = ((best.over_fp32, "fp32"), (best.over_cpu, "the CPU"), (best.over_torch, "the best of PyTorch"))
        gains = [_gain(ratio, of) for ratio, of in ratios if ratio]
        gain = f", {listed(gains)}" if gains else ""
        gain += _agreement(row) if best.over_torch else ""
        held = f" ({limit_words.figures(self._limits, row)})" if self._limits.asked else ""
        what = f"{self._where} {self._subject}"
        after = f"{held}{_doubt(row)}{gain}{self._energy(row)}."
        if ranking.is_first:
            once = " in this run" if ranking.is_one_run else ""
            return f"{what} is fastest{once}{self._within} with **{self._told(row)}**: {self._rate(row)}{after}"
        of_many = f", {ranking.undecided(self._told)}" if ranking.rivals else ""
        return f"{what} reaches {self._rate(row)}{self._within} with **{self._told(row)}**{of_many}{after}"

    def _energy(self, row: Row) -> str:
        ranking = most_frugal(self._held, row)
        if ranking is None:
            return ""
        frugal, what = ranking.row, escape(frugal_words(self._held, row))
        amount = significant(frugal["items_per_j"])
        is_its_own = frugal["trial_key"] == row["trial_key"]
        if ranking.has(row) and not ranking.is_first:
            per_joule = f"{significant(row['items_per_j'])} {escape(self._task.item)} per joule"
            return f"; it gives {per_joule}{_and_no_other(ranking)}"
        if is_its_own:
            return f"; it also gives the {what}: {amount}"
        told = self._told(frugal, like=row)
        if ranking.is_first:
            return f"; {what} with {told} ({amount})"
        return f"; {amount} {escape(self._task.item)} per joule with {told}{_and_no_other(ranking)}"

    def _other(self, best: Best) -> str:
        where = escape(label(best.row, ["device", *(c for c in ("machine", "run") if c in self._names)]))
        p99 = f", {_p99(best.row)}" if self._task.is_server else ""
        found = f"{self._told(best.row)}: {self._rate(best.row)}{p99}{_doubt(best.row)}"
        if best.ranking.is_first:
            return f"On {where} the best is {found}."
        return f"On {where} {found}{training.comma(best.ranking.undecided(self._told))}."

    def _close(self, best: Best) -> list[str]:
        if not best.close:
            return []
        return [f"Within 2 % of that: {some([*map(self._told, best.close)], MAX_CLOSE, '; ')}."]

    def _training(self) -> list[str]:
        return training.sentences(records(self._held.cells), self._told)

    def _server(self, best: Best) -> str:
        row, ranking = best.row, self._first
        # The deadline that was asked for and the limit on latency are one thing, of which the shorter is told.
        deadline_s = known(row.get("deadline_s"))
        asked_ms = [self._limits.max_latency_ms, None if deadline_s is None else 1e3 * deadline_s]
        least_ms = min((limit for limit in asked_ms if limit is not None), default=None)
        holding = "without falling behind" if least_ms is None else f"within {least_ms:g} ms"
        others = replace(self._limits, max_latency_ms=None)
        within = f" and within {limit_words.told(others)}" if others.asked else ""
        arriving = "" if is_missing(row.get("rate_per_s")) else f" at {row['rate_per_s']:g} requests/s arriving"
        rate = "requests" if ranking.rivals else "the highest rate"  # of one cell it is that of those tried
        what = f"{self._where} {self._subject} serves {rate} {holding}{within} with **{self._told(row)}**"
        beside = training.comma(ranking.undecided(self._told))
        return f"{what}: {self._rate(row)}{arriving}, {_p99(row)}{beside}."

    def _nothing(self) -> str:
        """Why no cell can be recommended, and which comes nearest."""
        cells = usable.usable(self._task.cells)
        if cells.empty and self._task.is_server:
            return self._overloaded()
        if not self._limits.asked:
            return f"No throughput was measured for {self._subject}."
        nearest = self._limits.nearest(records(cells))
        if nearest is None:
            return f"No cell of {self._subject} is known to meet the limits: {self._limits_told}."
        is_near = f"the nearest is **{self._told(nearest)}** with {limit_words.figures(self._limits, nearest)}"
        return f"No cell of {self._subject} meets the limits ({self._limits_told}); {is_near}."

    def _overloaded(self) -> str:
        cells = self._task.cells
        row = extreme(cells, cells["latency_p99_s"].fillna(math.inf), largest=False)
        assert row is not None, "a task has cells"
        rate = "" if is_missing(row.get("rate_per_s")) else f" at {row['rate_per_s']:g} requests/s"
        limit = known(row.get("deadline_s"))
        what = "keeps up with its arrivals" if limit is None else f"meets its deadline of {1e3 * limit:g} ms"
        return f"No cell of {self._subject} {what}; the nearest is **{self._told(row)}**{rate}, {_p99(row)}."


def _and_no_other(ranking: Ranking) -> str:
    """What follows an amount: how many other cells are statistically indistinguishable."""
    n = len(ranking.rivals)
    return f", statistically indistinguishable from {n:,} other{'s' if n > 1 else ''}" if n else ""


def _p99(row: Row) -> str:
    return f"p99 {seconds_as_ms(row['latency_p99_s'])} ms"


def _gain(ratio: Figure, of: str) -> str:
    """``3.14x the speed of fp32``, or that it could be chance."""
    times = ratio.text
    if ratio.low is not None and ratio.high is not None and not excludes_one(ratio):
        return f"statistically indistinguishable from {of} ({times}x, {ratio.interval_text})"
    return f"{times}x the speed of {of}"


def _agreement(row: Row) -> str:
    """``, with the reference's best class for 100 % of 64 images``; empty where that was not compared."""
    ratio, n = known(row.get("top1_agreement_ratio")), known(row.get("n_compared"))
    if ratio is None or n is None:
        return ""
    return f", with the reference's best class for {share(ratio)} of {n:,.0f} {escape(items(row))}"


def _doubt(row: Row) -> str:
    """What speaks against believing this very cell."""
    said = [f"{doubt}, see below" if doubt in UNSTABLE else escape(doubt) for doubt in doubts(row)]
    target, reached = known(row.get("target_accuracy")), known(row.get("accuracy_best"))
    has_missed = is_missing(row.get("time_to_target_s")) and is_missing(row.get("learned"))
    if target is not None and reached is not None and has_missed:
        said.append(f"without reaching {100 * target:g} % accuracy: {share(reached)}")
    return f" ({'; '.join(said)})" if said else ""
