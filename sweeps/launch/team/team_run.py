"""One cell on several devices, as the trial sees it: like a ``CellRun``, but in the processes of a team.

A process that dies, fails or hangs may leave the others waiting in a collective for ever, on the device, where no
exception reaches them. So the team is watched from a process that has no part in it, and ended as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import ray

from sweeps.cell.message import Message
from sweeps.cell.outcome import Outcome, killed
from sweeps.launch.team.memory_kills import n_memory_kills
from sweeps.launch.team.team import RankFellError, Team
from sweeps.plan.config import TrialConfig
from sweeps.store.rows import cell_columns

LOOK_S = 1.0
GRACE_S = 5.0
"""How long the processes of a cell have to end by themselves once one of them has, before they are ended: the first one
to fail tells why, and Ray needs a moment to notice a death."""
HANG_S, SILENT_S = 60.0, 3.0
"""A process says every second that it runs. One that has not for a minute ends its cell; one that has not for so many
seconds when the cell's time is over is named."""
EARLY_S = 2.0
"""A cell over its time is ended so much earlier here than by the driver, which knows of no ranks."""
_ONE_OF_US = ("RankLostError", "DistBackendError", "DistNetworkError", "RuntimeError")
"""Errors of the first process that may only say that another one is gone."""


class TeamRun:
    """Measures one cell on a team; see ``CellRun``, whose attributes and methods it has.

    Args:
        team: The processes; not to be used for another cell where this one did not end well.
        config: Of ``CellActor``.
    """

    def __init__(self, team: Team, config: Mapping[str, Any]) -> None:
        self._team, self._began = team, time.monotonic()
        self._timeout_s, self._hang_s = config["timeout_s"], config["hang_s"]
        self._n_kills = n_memory_kills()
        team.n_cells += 1
        told = {**config, "cell_name": f"cell {team.n_cells}", "group_timeout_s": config["timeout_s"] + 60}
        team.actors[0].begin.remote(told)
        self._follows = {actor.follow.remote(told): rank for rank, actor in enumerate(team.actors) if rank}
        self._next: Any = None
        cell = TrialConfig.from_dict(config["cell"])
        self._message = Message(trial_key=cell.key, row={**cell_columns(cell), "started_at": datetime.now(UTC)})
        self.is_finished, self.is_whole, self.ended_well = False, False, True
        team.begin_watching()

    def advance(self) -> None:
        """Wait for the first process's next message, or for what makes it the last one; at most a second."""
        if self._next is None:
            self._next = self._team.actors[0].advance.remote()
        ready, _ = ray.wait([self._next, *self._follows], num_returns=1, timeout=LOOK_S)
        if self._next in ready:
            self._take(self._next)
            self._next = None
        elif ready:
            outcome = self._outcome_of_follower(ready[0])
            if outcome is not None:
                self._end_with(outcome)
        elif (outcome := self._hangs()) is not None:
            self._fail(outcome)

    def take_message(self) -> Message:
        """The last message; its rounds and samples once."""
        message, self._message = self._message, replace(self._message, rounds=[], samples=[])
        return message

    def close(self) -> None:
        """Where the cell has not ended, the team can do nothing else any more."""
        if not self.is_finished:
            self.is_finished, self.ended_well = True, False

    def _take(self, reference: Any) -> None:
        """What the first process said last."""
        try:
            message, ended_well = ray.get(reference)
        except ray.exceptions.RayError as error:
            self._fail(self._died(0, error))
            return
        before = self._message
        self._message = replace(
            message, rounds=before.rounds + message.rounds, samples=before.samples + message.samples
        )
        self.is_whole = message.is_whole
        if not message.is_final:
            return
        self.ended_well = ended_well
        reason = self._why_not_well() if message.row.get("error_type") in _ONE_OF_US else None
        if reason is not None:
            self._fail(reason)
            return
        left = list(self._follows)
        ended = ray.wait(left, num_returns=len(left), timeout=GRACE_S)[0] if left else []
        if len(ended) < len(left) or [outcome for one in ended if (outcome := self._outcome_of_follower(one))]:
            self.ended_well = False
        self.is_finished = True

    def _why_not_well(self) -> Outcome | None:
        """Which other process made the first one fail, if any did."""
        until = time.monotonic() + GRACE_S
        while self._follows and (left := until - time.monotonic()) > 0:
            ready, _ = ray.wait(list(self._follows), num_returns=1, timeout=left)
            for reference in ready:
                if (outcome := self._outcome_of_follower(reference)) is not None:
                    return outcome
        return None

    def _end_with(self, outcome: Outcome) -> None:
        """A process that follows has ended; where the first one does so too by then, in the way that it says."""
        assert self._next is not None
        until = time.monotonic() + GRACE_S
        while (left := until - time.monotonic()) > 0 and ray.wait([self._next], timeout=left)[0]:
            self._take(self._next)
            if self.is_finished:
                if self._message.row.get("error_type") in _ONE_OF_US:
                    self._fail(outcome)
                self.ended_well = False
                return
            self._next = self._team.actors[0].advance.remote()
        self._fail(outcome)

    def _outcome_of_follower(self, reference: Any) -> Outcome | None:
        """How a process that follows has ended; None if well. It is not asked again."""
        rank = self._follows.pop(reference)
        try:
            outcome: Outcome | None = ray.get(reference)
        except ray.exceptions.RayError as error:
            return self._died(rank, error)
        if outcome is None:
            return None
        told = f"{self._team.names[rank]}: {outcome.status_reason or outcome.error_message or outcome.error_type}"
        return replace(outcome, status_reason=told)

    def _died(self, rank: int, error: Exception) -> Outcome:
        is_full = "OutOfMemory" in type(error).__name__ or n_memory_kills() != self._n_kills
        outcome = killed(str(error), f"{self._team.names[rank]} died", is_out_of_memory=is_full)
        return replace(outcome, status_reason=f"{self._team.names[rank]} was killed for memory") if is_full else outcome

    def _hangs(self) -> Outcome | None:
        """That a process hangs, or that the cell is over its time."""
        silent = self._team.silent(self._hang_s)
        if silent is not None:
            return Outcome(status="timeout", status_reason=f"{silent} hangs")
        if time.monotonic() - self._began > max(self._timeout_s / 2, self._timeout_s - EARLY_S):
            silent, behind = self._team.silent(SILENT_S), self._team.behind()
            told = f"; {silent} hangs" if silent else f"; {behind} is behind" if behind else ""
            return Outcome(status="timeout", status_reason=f"over --trial-timeout {self._timeout_s:g} s{told}")
        return None

    def _fail(self, outcome: Outcome) -> None:
        """End as the outcome says, with what was measured until then; only the profile is lost where that came last."""
        told = {"profile_reason": outcome.status_reason} if self.is_whole else asdict(outcome)
        row = {**self._message.row, **told, "wall_s": time.monotonic() - self._began}
        self._message = replace(self._message, row=row, is_final=True)
        self.is_finished, self.ended_well = True, False


class NeverBegan:
    """Stands for the run of a cell whose team did not start."""

    def __init__(self, error: RankFellError) -> None:
        row = asdict(killed(str(error), "its processes did not start", is_out_of_memory=False))
        self._message = Message(trial_key="", row=row, is_final=True)
        self.is_finished, self.is_whole, self.ended_well = True, False, False

    def advance(self) -> None:
        """Nothing is left to do."""

    def take_message(self) -> Message:
        return self._message

    def close(self) -> None:
        """Nothing is open."""
