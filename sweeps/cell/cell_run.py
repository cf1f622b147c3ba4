"""One cell, measured: set-up, warm-up, rounds, and what is asked once at the end. Free of Ray.

``advance`` does one phase at a time and never raises: whatever happens becomes the row's status.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from analysis.contract.cells import SINGLE
from sweeps.cell.context import context_of, lacking, round_row
from sweeps.cell.device_facts import DeviceFacts
from sweeps.cell.final_columns import compile_seconds, final_columns
from sweeps.cell.follower import facts_of
from sweeps.cell.message import Message, Place
from sweeps.cell.outcome import DivergedError, WrongResultError, outcome_of
from sweeps.cell.ranks import Ranks
from sweeps.cell.scenarios import plan_for, serve, single_steps, timed_round, warmed
from sweeps.cell.training_columns import rate_columns
from sweeps.measure.compile_caches import compiled_apart
from sweeps.measure.device.device import open_device, set_threads, synchronize
from sweeps.measure.device.environment import environment
from sweeps.measure.device.fresh import reset_device_state
from sweeps.measure.monitors.energy import EnergyMonitor
from sweeps.measure.monitors.memory import MemoryMonitor
from sweeps.measure.monitors.page_faults import PageFaultCounter
from sweeps.measure.monitors.step_profile import Profile, profile_step
from sweeps.measure.products import ProductTypes
from sweeps.measure.timing.rounds import RoundLog, RoundPolicy, latency_columns
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.store.rows import cell_columns, is_diverged
from workloads.base import Extras, UnsupportedError, Workload
from workloads.precision import apply_precision
from workloads.runtime.memory import NeverFitsError


class CellRun:
    """Measures one cell.

    Args:
        cell: What to run.
        measure: How to measure it.
        n_threads: CPU threads for torch, where the cell itself does not say.
        device_facts: What earlier cells of the sweep proved of the device; missing facts are measured.
        place: The node and the device's number there, for the environment columns.
        ranks: The other processes of a cell on several devices.

    Attributes:
        is_finished: Nothing is left to do; the row has its status.
        is_whole: The row has all but the profile, which is to be taken next.
        ended_well: The process is fit for another cell.
    """

    def __init__(
        self,
        cell: TrialConfig,
        measure: MeasureConfig,
        *,
        n_threads: int,
        device_facts: Mapping[str, Any] | None = None,
        place: Place | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        self._cell, self._measure = cell, measure
        self._began = time.monotonic()
        self._place, self._ranks = place or Place(), ranks or Ranks()
        self._row: dict[str, Any] = {**cell_columns(cell), "started_at": datetime.now(UTC), **asdict(self._place)}
        self._policy = RoundPolicy(**{f.name: getattr(measure, f.name) for f in fields(RoundPolicy)})
        self._known_facts = dict(device_facts or {})
        self._facts: DeviceFacts | None = None
        self._n_threads = n_threads
        self._workload: Workload | None = None
        self._monitors = ExitStack()
        self._curve: list[dict[str, Any]] = []
        self._page_faults = PageFaultCounter()
        self._items, self._has_diverged = 0, False
        self._found = Profile(columns={})
        self._new_rounds: list[dict[str, Any]] = []
        self._new_samples: list[tuple[str, int, np.ndarray, np.ndarray | None]] = []
        self._next: Callable[[], None] = self._set_up
        self.is_finished, self.is_whole, self.ended_well = False, False, True

    def advance(self) -> None:
        """Do the next phase: set-up, warm-up, a round, or the end. Never raises but for an interrupt."""
        try:
            self._next()
        except Exception as error:
            outcome = outcome_of(error)
            self._row.update(asdict(outcome))
            # What is lacking was told before or without harming the device, and a wrong answer was told of after all
            # else; anything else may have harmed it. A new process costs seconds, and what it has to compile again.
            self.ended_well = isinstance(error, UnsupportedError | NeverFitsError | WrongResultError | DivergedError)
            self._finish()

    def take_message(self) -> Message:
        """Everything new since the last message, with the row as it stands."""
        rounds, self._new_rounds = self._new_rounds, []
        samples, self._new_samples = self._new_samples, []
        facts = asdict(self._facts) if self._facts else {}
        return Message(
            trial_key=self._cell.key, row=dict(self._row), rounds=rounds, samples=samples, device_facts=facts,
            is_final=self.is_finished, is_whole=self.is_whole, place=self._place, longest=self._found.longest,
            trace=self._found.trace,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the device; safe to call twice."""
        self._ranks.end()
        self._monitors.close()
        workload, self._workload = self._workload, None
        if workload is not None:
            workload.teardown()
            synchronize(self._device)  # nothing is left to the next cell, nor out of this one's time

    def _set_up(self) -> None:
        cell = self._cell
        set_threads(self._n_threads)
        self._device = device = open_device(cell.device)
        self._row.update(environment(device, record_hostname=self._measure.record_hostname))
        self._row["n_threads"] = n_threads = cell.threads or self._n_threads
        reason = lacking(device, cell)
        if reason is not None:
            raise UnsupportedError(reason)
        apply_precision(cell.precision)
        self._products = ProductTypes()
        self._facts = DeviceFacts.of(device, cell.precision, self._known_facts)
        self._row.update(self._facts.columns(cell.precision))
        set_threads(n_threads)  # not before the ceilings, which are the device's and not the cell's
        # After the ceilings: the memory and the random numbers of their large products are not the cell's.
        reset_device_state(device, cell.seed)
        self._memory = self._monitors.enter_context(MemoryMonitor(device))
        kind, context = context_of(cell, device, self._measure, self._ranks.group)
        self._row.update(self._ranks.open(cell.batch_size, facts_of(device, self._place)))
        began = time.perf_counter()
        self._workload = self._ranks.lead(kind(context))
        if Extras.of(self._workload).is_compiled:
            self._monitors.enter_context(compiled_apart(device, self._products.look_at))
        facts = self._workload.setup()
        synchronize(device)  # what was handed to the device is part of it, not of the first step
        self._row.update(asdict(facts), setup_s=time.perf_counter() - began, item=facts.item or kind.item)
        n_batches = Extras.of(self._workload).sending.scenario.n_batches
        self._row["items_per_step"] = self._workload.items_per_step * n_batches
        self._next = self._warm_up

    def _warm_up(self) -> None:
        assert self._workload is not None
        self._timer = self._ranks.timer(self._device, self._workload)
        warm = warmed(self._workload, self._timer, self._measure, self._cell.compile)
        self._row.update(warm.columns, timer_overhead_s=self._timer.overhead_s)
        self._new_samples.append(("warmup", 0, np.asarray(warm.seconds), None))
        extras = Extras.of(self._workload)
        if extras.restart is not None:
            extras.restart()  # training must not count the warm-up's steps towards its accuracy
            synchronize(self._device)
        self._memory.begin_rounds()
        self._conditions = self._monitors.enter_context(self._ranks.conditions(self._device))
        self._source = self._ranks.energy_source(self._device)
        self._energy = self._monitors.enter_context(EnergyMonitor(self._source))
        self._step_s = float(np.median(warm.seconds[-5:]))
        self._sending = extras.sending
        self._plan = plan_for(self._sending.scenario, self._workload.step, self._step_s, self._timer)
        self._log = RoundLog(self._plan.steps_per_sample)
        self._next = self._serve if self._sending.scenario.is_served else self._round

    def _serve(self) -> None:
        """Requests at scheduled times, at one rate or at several."""
        assert self._workload is not None
        served = serve(
            self._ranks.own(self._plan.step), self._timer, sending=self._ranks.shared(self._sending),
            step_s=self._step_s, items_per_step=self._workload.items_per_step, min_s=self._measure.min_s,
            seed=self._cell.seed,
        )  # fmt: skip
        self._row.update(served.columns)
        self._items = len(served.latency_s) * self._workload.items_per_step
        self._new_samples.append(("measure", 0, served.latency_s, served.scheduled_s))
        self._new_rounds, self._next = served.rates, self._conclude

    def _round(self) -> None:
        workload, plan = self._workload, self._plan
        assert workload is not None
        index = len(self._log.round_medians)
        energy_before = self._energy.read_j()
        with self._page_faults:
            seconds, n_steps = timed_round(workload, plan, self._timer, self._policy.length_s)
        energy_after = self._energy.read_j()
        self._conditions.note()
        items_per_step = self._row["items_per_step"]
        total, items = self._log.add(seconds, n_steps), n_steps * items_per_step
        self._items += items
        reached = workload.end_round(index)
        self._has_diverged = is_diverged(reached)
        timed = {"round": index, "elapsed_s": self._log.measured_s, "seconds": total, "items": items}
        entry = round_row(timed, (energy_before, energy_after), self._device, reached)
        self._curve.append(entry)
        self._new_rounds.append(entry)
        self._new_samples.append(("measure", index, np.asarray(seconds), None))
        self._row.update(asdict(self._log.summary(items_per_step, self._policy)))
        is_steady, is_short = workload.steps_per_round is None, self._measure.is_recheck
        if not is_steady:
            self._row.update(rate_columns(self._curve, self._row.get("n_train_items")))
        has_epoch = self._items + workload.items_per_step > (self._row["n_train_items"] or 0)
        is_enough = self._log.is_enough(self._policy) if is_steady else is_short and has_epoch
        if self._has_diverged or workload.is_done() or is_enough:
            self._next = self._conclude

    def _conclude(self) -> None:
        assert self._workload is not None
        self._row.update(self._energy.columns(self._items))
        self._row.update(self._conditions.columns(self._log.round_medians))
        self._row.update(self._ranks.memory(self._memory.columns()))
        n_steps = self._items / self._row["items_per_step"]
        self._row.update(self._page_faults.columns(n_steps))
        self._row.update(self._memory.retry_columns(n_steps))
        if self._plan.steps_per_sample > 1 and self._workload.steps_per_round is None:
            seconds = single_steps(self._plan, self._timer, self._measure.max_s)
            self._new_samples.append((SINGLE, 0, seconds, None))
            self._row.update(latency_columns(seconds))
        self._row["compile_s"] = compile_seconds(self._cell.compile, self._workload, self._row)
        self._row.update(self._workload.quality())
        self._row["status"] = "complete"
        # Judged last, so that a wrong answer keeps every figure and still ends as an error.
        asked = (self._workload, self._device, self._cell, self._measure, self._row, self._curve, self._facts)
        for columns in final_columns(*asked, products=self._products, source=self._source):
            self._row.update(columns)
        if self._has_diverged:
            raise DivergedError(f"the loss is not finite after {n_steps:.0f} steps; try a lower learning rate")
        self.is_whole, self._next = self._measure.profile, self._profile
        if not self.is_whole:
            self._finish()

    def _profile(self) -> None:
        self._found = profile_step(self._plan.step, self._device, self._row.get("step_median_s"))
        self._row.update(self._found.columns)
        self.ended_well = self._device.type == "cpu"  # elsewhere what watches launches may stay, and slow other cells
        self._finish()

    def _finish(self) -> None:
        try:
            self.close()
        except Exception as error:
            self.ended_well = False
            if self._row.get("status") == "complete":
                self._row.update(asdict(outcome_of(error)))
        self._row["wall_s"] = time.monotonic() - self._began
        self.is_finished = True
