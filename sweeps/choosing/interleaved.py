"""Interleaved rounds: every cell is visited several times in turns, so that slow drift of a machine hits all alike.

A visit is a cell measured for its share of rounds and seconds. What the visits found is one row: timing over the
samples of all, joules and seconds added up, peaks the highest. It is recorded after each visit, so that nothing is lost
when a sweep is cut short; a resume goes on with the visits that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from analysis.contract.cells import MEASURE, SINGLE, Row, known
from sweeps.choosing.chooser import WAIT, Chooser, Columns, Wait
from sweeps.measure.timing.rounds import RoundPolicy, latency_columns, summarise_timing
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import N_VISITS
from sweeps.store.columns import FIRST, HIGHEST, LATEST, RATE, SUMMED, WORDS
from sweeps.store.rows import SampleBlock
from sweeps.store.store import ResultStore
from sweeps.store.trial_columns import HOW_VISITS_JOIN


@dataclass(kw_only=True)
class _Visited:
    """What earlier visits found of a cell."""

    row: Columns
    rounds: list[Columns] = field(default_factory=list)
    samples: list[SampleBlock] = field(default_factory=list)
    n_visits: int = 0


def _words(a: str | None, b: str | None) -> str | None:
    return ", ".join(dict.fromkeys(word for text in (a, b) if text for word in text.split(", "))) or None


_JOINED: dict[str, Callable[[Any, Any], Any]] = {
    SUMMED: lambda a, b: None if a is None or b is None else a + b,
    HIGHEST: lambda a, b: max((value for value in (a, b) if known(value) is not None), default=None),
    WORDS: _words,
    FIRST: lambda a, _: a,
    LATEST: lambda _, b: b,
}


def joined_row(before: Row, row: Row, samples: Sequence[SampleBlock], policy: RoundPolicy) -> Columns:
    """The row of a cell from its row so far, that of one more visit alone, and the samples of all visits in order."""
    joined = {**row, **_timing(before, row, samples, policy)}
    for name, how in HOW_VISITS_JOIN.items():
        if how in _JOINED:
            joined[name] = _JOINED[how](before[name], row[name])
        elif how == RATE and row[name] is not None:
            joined[name] = row[name] * row["step_median_s"] / joined["step_median_s"]
    return {**joined, **_energy(before, row, joined)}


def _timing(before: Row, row: Row, samples: Sequence[SampleBlock], policy: RoundPolicy) -> Columns:
    """The TIMING columns, from the samples of all visits."""
    blocks = [seconds for phase, _, seconds, _ in samples if phase == MEASURE]
    summary = summarise_timing(
        np.concatenate(blocks), [float(np.median(b)) for b in blocks], policy=policy,
        items_per_step=round(row["throughput_items_per_s"] * row["step_median_s"]),
        steps_per_sample=max(int(before["steps_per_sample"]), int(row["steps_per_sample"])),
        round_sizes=[len(b) for b in blocks],
    )  # fmt: skip
    single = [seconds for phase, _, seconds, _ in samples if phase == SINGLE]
    return asdict(summary) | (latency_columns(np.concatenate(single)) if single else {})


def _energy(before: Row, row: Row, joined: Row) -> Columns:
    """The ENERGY columns, from the summed joules; none where a visit has none."""
    if not (joined["energy_j"] and before["energy_per_item_j"] and row["energy_per_item_j"]):
        return {}
    items = before["energy_j"] / before["energy_per_item_j"] + row["energy_j"] / row["energy_per_item_j"]
    return {"energy_per_item_j": joined["energy_j"] / items, "items_per_j": items / joined["energy_j"],
            "mean_power_w": joined["energy_j"] / joined["energy_window_s"]}  # fmt: skip


class Turns(Chooser):
    """Hands out the whole grid N_VISITS times over, and joins what the visits found of a cell.

    ``done`` are the rows recorded that count, when a sweep is resumed; their rounds and samples are in the store.
    """

    def __init__(
        self, cells: Sequence[TrialConfig], config: SweepConfig, store: ResultStore, done: Sequence[Row]
    ) -> None:
        store.compacts_on_the_way = False  # every visit records its cell again
        self._policy = RoundPolicy(**{f.name: getattr(config.measure, f.name) for f in fields(RoundPolicy)})
        keys = [row["trial_key"] for row in done]
        rounds, samples = store.rounds(keys), store.sample_blocks(keys)
        self._visited = {cell.key: _Visited(row={}) for cell in cells}
        for key, row in zip(keys, done, strict=True):
            last = max((r["visit"] or 0 for r in rounds[key]), default=N_VISITS - 1)
            self._visited[key] = _Visited(
                row=dict(row), rounds=rounds[key], samples=samples[key],
                n_visits=N_VISITS if self._is_over(row) else 1 + last,
            )  # fmt: skip
        self._running: set[str] = set()
        self._held: TrialConfig | None = None
        super().__init__(cell for turn in range(N_VISITS) for cell in cells if self._visited[cell.key].n_visits <= turn)

    def _is_over(self, row: Row) -> bool:
        """Whether a cell failed, or one more step of it would take longer than is to be measured in all."""
        if row["status"] != "complete":
            return True
        return (row.get("measured_s") or 0.0) + (row.get("step_median_s") or 0.0) > self._policy.max_s

    @property
    def n_visited(self) -> int:
        """Visits that need not be made any more."""
        return sum(visited.n_visits for visited in self._visited.values())

    def next_cell(self) -> TrialConfig | Wait | None:
        cell = self._held or next(self._cells, None)
        self._held = None
        if cell is None:
            return None
        if cell.key in self._running:
            self._held = cell  # its visit before this one has not ended
            return WAIT
        if self._visited[cell.key].n_visits >= N_VISITS:
            return self.next_cell()  # it failed meanwhile
        self._running.add(cell.key)
        return cell

    def close(self, cell: TrialConfig, row: Columns, rounds: list[Columns], samples: list[SampleBlock]) -> None:
        """Join the visit with those before it."""
        self._running.discard(cell.key)
        before = self._visited[cell.key]
        offset = len(before.rounds)
        elapsed = before.rounds[-1]["elapsed_s"] if before.rounds else 0.0
        rounds[:] = before.rounds + [
            {**entry, "round": entry["round"] + offset, "elapsed_s": entry["elapsed_s"] + elapsed,
             "visit": before.n_visits}
            for entry in rounds
        ]  # fmt: skip
        samples[:] = before.samples + [
            (phase, index + (offset if phase == MEASURE else before.n_visits), seconds, scheduled)
            for phase, index, seconds, scheduled in samples
        ]
        if row["status"] == "complete" and before.row:
            row.update(joined_row({**dict.fromkeys(row), **before.row}, row, samples, self._policy))
        n_visits = N_VISITS if self._is_over(row) else before.n_visits + 1
        self._visited[cell.key] = _Visited(row=dict(row), rounds=list(rounds), samples=list(samples), n_visits=n_visits)

    def forget(self, cell: TrialConfig) -> None:
        self._running.discard(cell.key)
