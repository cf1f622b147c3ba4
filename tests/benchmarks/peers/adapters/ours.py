"""Our own cell, as a sweep measures it, in turns with the reference loop; and what becomes of a cell that cannot run."""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(1, str(Path(__file__).resolve().parents[4]))

import common
from common import Cell, Figure, Peer, of_samples, reference_loop, serve

from sweeps.cell.cell_run import CellRun
from sweeps.cell.device_facts import DeviceFacts
from sweeps.measure import open_device
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig

ENDLESS = 10**9


class OurCell(Peer):
    """The cells of ``accelsweep inference``; the grid's wall time is that of the command itself, not of this file."""

    name = "accelsweep"
    statistic = "median"
    defaults = "warm-up by rule; at least 5 rounds, 1 s, and an interval within 2 %, 10 s at most"

    @functools.cached_property
    def facts(self) -> dict[str, Any]:
        """What a sweep proves of a device once, before its cells."""
        return dataclasses.asdict(DeviceFacts.of(open_device(self.request["device"]), "fp32", {}))

    def trial(self, cell: Cell, device_name: str) -> TrialConfig:
        return TrialConfig(
            workload="inference", device=device_name, batch_size=cell.batch_size, precision=cell.precision,
            model=self.request["model"], memory_format=cell.memory_format,
            options={"scenario": "single-stream", "weights": self.request["weights"]},
        )  # fmt: skip

    def run(self, cell: Cell, measure: MeasureConfig) -> CellRun:
        trial, n_threads = self.trial(cell, self.request["device"]), torch.get_num_threads()
        return CellRun(trial, measure, n_threads=n_threads, device_facts=self.facts)

    def whole(self, cell: Cell, measure: MeasureConfig) -> dict[str, Any]:
        """The row of a cell."""
        run = self.run(cell, measure)
        while not run.is_finished:
            run.advance()
        return run.take_message().row


def answer_of(row: dict[str, Any]) -> dict[str, Any]:
    figure = {"latency_s": row.get("step_median_s"), "throughput_per_s": row.get("throughput_items_per_s")}
    if row["status"] == "complete":
        return {"status": "ok", **figure}
    reason = row.get("status_reason") or row.get("error_message") or ""
    told = f"{row.get('error_message') or reason}"[: common.ERROR_CHARACTERS]
    return {"status": "failed", "row_status": row["status"], "error_type": row.get("error_type"), "error": told}


def our_grid(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    assert isinstance(peer, OurCell)
    short = MeasureConfig(min_rounds=1, min_s=0.01, max_s=0.01, round_s=0.01, warmup_max_s=1.0)
    for cell in common.wanted(part["cells"]):
        began = time.perf_counter()
        answer = answer_of(peer.whole(cell, short))
        yield {"cell": dataclasses.asdict(cell), **answer, "wall_s": time.perf_counter() - began}


def our_defaults(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    assert isinstance(peer, OurCell)
    device = torch.device(peer.request["device"])
    for cell in common.wanted(part["cells"]):
        step = Peer.prepare(peer, cell, peer.request["device"]).step
        reference_loop(step, 2, device)
        before = reference_loop(step, part["n_steps"], device)
        began = time.perf_counter()
        answer = answer_of(peer.whole(cell, MeasureConfig()))
        answer["wall_s"] = time.perf_counter() - began
        answer["reference"] = of_samples([*before, *reference_loop(step, part["n_steps"], device)])
        yield {"cell": dataclasses.asdict(cell), "settings": peer.defaults, **answer}


def our_agreement(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rounds of a cell in turns with the reference loop on the very same step."""
    assert isinstance(peer, OurCell)
    device = torch.device(peer.request["device"])
    for cell in common.wanted(part["cells"]):
        began = time.perf_counter()
        measure = MeasureConfig(min_rounds=ENDLESS, min_s=1e9, max_s=1e9, round_s=0.1, warmup_max_s=3.0)
        run = peer.run(cell, measure)
        run.advance()
        run.advance()
        workload = run._workload
        if workload is None:
            answer = answer_of(run.take_message().row)
        else:
            run._policy = dataclasses.replace(run._policy, round_s=part["n_steps"] * run._step_s)
            turns, order = [], np.random.default_rng(0)
            for _ in range(common.n_turns_of(cell, part)):
                turn: dict[str, Any] = {}
                for party in order.permutation(2):
                    if party == 0:
                        turn["reference"] = of_samples(reference_loop(workload.step, part["n_steps"], device))
                        continue
                    run.advance()
                    median_s = float(np.median(run._new_samples[-1][2]))
                    turn["tool"] = dataclasses.asdict(
                        Figure(latency_s=median_s, throughput_per_s=cell.batch_size / median_s)
                    )
                turns.append(turn)
            run.close()
            answer = {"status": "ok", "turns": turns}
        yield {"cell": dataclasses.asdict(cell), **answer, "wall_s": time.perf_counter() - began}


def our_out_of_memory(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    assert isinstance(peer, OurCell)
    assert peer.facts, "measured before memory is short"
    with common.address_limit(part["address_space_bytes"]):
        yield from our_grid(peer, part)


if __name__ == "__main__":
    common.PARTS.update({
        "grid": our_grid, "defaults": our_defaults, "agreement": our_agreement, "out-of-memory": our_out_of_memory,
    })  # fmt: skip
    serve(OurCell)
