"""Interleaved rounds: real rows in a real store, each visit's samples made by hand so that the joined figures are known."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.cell.message import Message
from sweeps.choosing.chooser import WAIT
from sweeps.choosing.interleaved import _JOINED, Turns, joined_row
from sweeps.measure.timing.rounds import RoundPolicy, TimingSummary
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import N_VISITS, MeasureConfig
from sweeps.plan.search import PruningConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.session.running import choose
from sweeps.store.columns import ENERGY, FIRST, HIGHEST, LATEST, RATE, SUMMED, TIMING, WORDS
from sweeps.store.rows import cell_columns
from sweeps.store.schema import TRIALS
from sweeps.store.store import ResultStore
from sweeps.store.trial_columns import HOW_VISITS_JOIN, TRIAL_GROUPS, VISITED
from workloads.base import BadInputError

CONFIG = SweepConfig(
    workload="inference", device=("cpu",), batch_size=(2, 4), precision=("fp32",), model=("m",),
    measure=MeasureConfig(rounds="interleaved", min_rounds=3, min_s=3.0, max_s=300.0),
)  # fmt: skip


class Nobody:
    def cell_started(self, cell: TrialConfig) -> None: ...
    def cell_progressed(self, cell: TrialConfig, row: Any) -> None: ...
    def cell_ended(self, cell: TrialConfig, row: Any) -> None: ...


class Sweep:
    """A ledger over a store, driven as Tune drives it, with the workers' messages made by hand."""

    def __init__(self, folder: Path, done: list[dict[str, Any]] | None = None, config: SweepConfig = CONFIG) -> None:
        self.cells = config.cells()
        self.store = (
            ResultStore.open(folder)[0] if done is not None else ResultStore.create(folder, config, self.cells, [])
        )
        self.turns = choose(config, self.cells, self.store, done or [])
        self.ledger = Ledger(config, self.cells, self.store, self.turns, Nobody())
        self.order: list[int] = []

    def visit(self, step_s: float, *, status: str = "complete", joules: float | None = 8.0, n_rounds: int = 1) -> bool:
        cell = self.ledger.hand_out("trial")
        if not isinstance(cell, TrialConfig):
            return False
        self.order.append(cell.batch_size)
        seconds = np.full(10, step_s)
        items = 10 * cell.batch_size
        row = dict.fromkeys(TRIALS.names) | cell_columns(cell) | {
            "status": status, "items_per_step": cell.batch_size, "steps_per_sample": 1, "n_warmup_steps": 5,
            "warmup_s": 1.0, "wall_s": 3.0, "measured_s": 10 * step_s, "step_median_s": step_s,
            "throughput_items_per_s": cell.batch_size / step_s, "energy_j": joules, "energy_window_s": 10 * step_s,
            "energy_per_item_j": None if joules is None else joules / items, "setup_s": step_s,
            "peak_rss_bytes": round(1e9 * step_s), "achieved_flop_per_s": 1e9 / step_s,
        }  # fmt: skip
        rounds = [{"round": 0, "elapsed_s": 10 * step_s, "seconds": 10 * step_s, "items": items}]
        rounds = [{**rounds[0], "round": i, "elapsed_s": 10 * step_s * (i + 1)} for i in range(n_rounds)]
        blocks = [("warmup", 0, seconds[:5], None), *(("measure", i, seconds, None) for i in range(n_rounds))]
        message = Message(trial_key=cell.key, row=row, rounds=rounds, samples=blocks, is_final=True)  # type: ignore[arg-type]
        self.ledger.receive("trial", message)
        return True


def test_repeats_follow_all_turns_each_in_one_go_and_a_resume_goes_on_in_the_midst_of_them(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, repeats=3)
    sweep = Sweep(tmp_path / "s", config=config)
    for _ in range(2 * N_VISITS + 3):
        assert sweep.visit(1.0)
    assert sorted(sweep.order[-3:-1]) == [2, 4], "a round of repeats has every cell"
    assert sweep.turns.n_visited == 2 * N_VISITS
    again = Sweep(tmp_path / "s", done=sweep.store.rows(), config=config)
    assert again.turns.n_visited == 2 * N_VISITS
    assert again.visit(2.0)
    assert not again.visit(2.0)
    rows = again.store.rows()
    assert sorted((row["batch_size"], row["repeat"]) for row in rows) == [(b, r) for b in (2, 4) for r in (1, 2, 3)]
    assert {row["repeat"]: row["n_samples"] for row in rows if row["batch_size"] == 2}[1] == 10 * N_VISITS


def test_cells_are_visited_in_turns_and_end_as_one_row_each_over_all_their_samples(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    steps = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    for step in steps:
        assert sweep.visit(step)
    assert not sweep.visit(1.0)
    assert sweep.order == [2, 4] * N_VISITS
    rows = {row["batch_size"]: row for row in sweep.store.rows()}
    assert sorted(rows) == [2, 4]
    row = rows[4]
    assert (row["n_samples"], row["n_rounds"], row["step_median_s"]) == (30, 3, 2.0)
    assert row["measured_s"] == pytest.approx(60)
    assert row["throughput_items_per_s"] == pytest.approx(4 / 2.0)
    assert row["energy_j"] == 24
    assert row["energy_per_item_j"] == pytest.approx(24 / 120)
    assert row["items_per_j"] == pytest.approx(120 / 24)
    assert row["mean_power_w"] == pytest.approx(24 / 60)
    assert row["peak_rss_bytes"] == 3e9
    assert row["achieved_flop_per_s"] == pytest.approx(1e9 / 2.0)
    assert (row["setup_s"], row["warmup_s"], row["wall_s"]) == (1.0, 3.0, 9.0)
    rounds = sweep.store.rounds([row["trial_key"]])[row["trial_key"]]
    assert [(r["round"], r["visit"], r["elapsed_s"]) for r in rounds] == [(0, 0, 10.0), (1, 1, 30.0), (2, 2, 60.0)]


def test_a_drift_over_the_visits_is_seen_where_each_visit_alone_is_steady(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    for step in (1.0, 1.0, 1.1, 1.0, 1.2, 1.0):
        sweep.visit(step, n_rounds=4)
    rows = {row["batch_size"]: row for row in sweep.store.rows()}
    assert rows[2]["is_drifting"]
    assert rows[2]["drift_ratio"] == pytest.approx(0.2 / 1.1, rel=0.25)
    assert rows[4]["drift_ratio"] == pytest.approx(0.0)


def test_a_cell_that_fails_is_not_visited_again_and_keeps_what_was_measured(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    for step, status in ((1.0, "complete"), (1.0, "complete"), (1.0, "error"), (1.0, "complete"), (1.0, "complete")):
        assert sweep.visit(step, status=status)
    assert not sweep.visit(1.0)
    assert sweep.order == [2, 4, 2, 4, 4]
    rows = {row["batch_size"]: row["status"] for row in sweep.store.rows()}
    assert rows == {2: "error", 4: "complete"}
    keys = [cell.key for cell in sweep.cells]
    measured = {k: [b for b in blocks if b[0] == "measure"] for k, blocks in sweep.store.sample_blocks(keys).items()}
    assert [len(blocks) for blocks in measured.values()] == [2, 3]


def test_a_cell_whose_step_takes_all_the_time_is_visited_once_also_after_a_resume(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    for step in (1.0, 300.0):
        sweep.visit(step)
    again = Sweep(tmp_path / "s", sweep.store.rows())
    while again.visit(1.0):
        pass
    assert sweep.order + again.order == [2, 4, 2, 2]


def test_resuming_goes_on_with_the_visits_that_are_missing(tmp_path: Path) -> None:
    first = Sweep(tmp_path / "s")
    for step in (1.0, 1.0, 2.0):
        first.visit(step)
    again = Sweep(tmp_path / "s", first.store.rows())
    assert again.turns.n_visited == 3
    while again.visit(3.0):
        pass
    assert again.order == [4, 2, 4]
    rows = {row["batch_size"]: row for row in again.store.rows()}
    assert (rows[2]["n_samples"], rows[2]["step_median_s"]) == (30, 2.0)
    assert (rows[4]["n_samples"], rows[4]["step_median_s"]) == (30, 3.0)


def test_the_only_cell_left_waits_for_its_visit_to_end(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    turns = Turns(sweep.cells[:1], CONFIG, sweep.store, [])
    sweep.ledger = Ledger(CONFIG, sweep.cells, sweep.store, turns, Nobody())
    assert isinstance(sweep.ledger.hand_out("a"), TrialConfig)
    assert sweep.ledger.hand_out("b") is WAIT
    sweep.ledger.drop()
    assert isinstance(sweep.ledger.hand_out("c"), TrialConfig)


def test_rows_without_energy_stay_without(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    while sweep.visit(1.0, joules=None):
        pass
    assert [(row["energy_j"], row["energy_per_item_j"]) for row in sweep.store.rows()] == [(None, None)] * 2


def test_turns_are_for_grids_of_alike_rounds() -> None:
    with pytest.raises(BadInputError, match=r"--rounds interleaved: .* not with a pruner"):
        SweepConfig(
            workload="inference", device=("cpu",), batch_size=(1,), precision=("fp32",), model=("m",),
            measure=MeasureConfig(rounds="interleaved"), pruning=PruningConfig(pruner="median"),
        )  # fmt: skip


def test_a_row_that_cannot_be_recorded_ends_the_sweep_and_is_not_swallowed(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    assert sweep.visit(1.0)
    cell = sweep.ledger.hand_out("trial")
    assert isinstance(cell, TrialConfig)
    samples = [("measure", 0, np.array(["surprise"]), None)]
    row = cell_columns(cell) | {"status": "complete"}
    sweep.ledger.receive("trial", Message(trial_key=cell.key, row=row, samples=samples, is_final=True))
    assert "surprise" in str(sweep.ledger.failure)
    assert sweep.ledger.hand_out("next") is None
    assert len(sweep.store.rows()) == 1


def test_every_figure_says_how_its_visits_are_joined_and_is_joined_so() -> None:
    """The trap that a new column would fall into: it must have a word, and the word must do something."""
    lacking = [c[0] for group, columns in TRIAL_GROUPS if group in VISITED for c in columns if len(c) < 5]
    assert not lacking, "say in trial_columns.py how the figures of several visits become one"
    computed = {TIMING: {f.name for f in fields(TimingSummary)} - {"measured_s"},
                ENERGY: {"energy_per_item_j", "items_per_j", "mean_power_w"}}  # fmt: skip
    by_how: dict[str, set[str]] = {}
    for name, how in HOW_VISITS_JOIN.items():
        by_how.setdefault(how, set()).add(name)
    assert set(by_how) == {*_JOINED, RATE, *computed}
    assert {how: by_how[how] for how in computed} == computed


@pytest.mark.parametrize(
    ("how", "first", "then", "joined"),
    [(SUMMED, 1.0, 2.0, 3.0), (SUMMED, None, 2.0, None), (HIGHEST, 3, 2, 3), (HIGHEST, None, 2, 2), (HIGHEST, None, None, None),
     (FIRST, 1, 2, 1), (LATEST, 1, 2, 2), (WORDS, "heat, power", "power, cap", "heat, power, cap"), (WORDS, None, None, None)],
)  # fmt: skip
def test_a_new_column_is_joined_by_its_word_alone(
    how: str, first: object, then: object, joined: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HOW_VISITS_JOIN, "new_column", how)
    row = dict.fromkeys(TRIALS.names) | {"throughput_items_per_s": 2.0, "step_median_s": 1.0, "steps_per_sample": 1}
    samples: Any = [("measure", i, np.full(9, 1.0), None) for i in range(2)]
    policy = RoundPolicy(min_rounds=1, min_s=1.0, max_s=2.0, round_s=0.2, precision_target=0.02)
    found = joined_row({**row, "new_column": first}, {**row, "new_column": then}, samples, policy)
    assert found["new_column"] == joined
