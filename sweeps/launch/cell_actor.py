"""The actor that runs cells, in a worker that is reused while it stays clean.

It is asked as Tune asks a Trainable, and imports nothing of Tune, whose data frames and storage take two seconds of a
core and no cell needs.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import ray

from sweeps.cell.message import Message
from sweeps.cell.own_process import RunElsewhere, end_own_process, run_until_told
from sweeps.launch.leftovers import end_children
from sweeps.launch.team.rank import place_here
from sweeps.launch.team.team import RankFellError, Team
from sweeps.launch.team.team_run import NeverBegan, TeamRun
from sweeps.measure.device.allocators import environment_of
from sweeps.measure.device.host import default_threads
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.models.origins.own_code import give_sent
from workloads.runtime.late import wait_for_imports

if TYPE_CHECKING:
    from sweeps.cell.cell_run import CellRun


class UncleanWorkerError(Exception):
    """Raised after a cell that ended badly, so that Tune replaces the worker; its row is already with the driver."""


class CellActor:
    """One cell of the grid as a Tune trial, then the next; each ``train`` is one or more rounds of measurement.

    A cell on one device runs in this process. One on several runs in a process for each, which this one, having no
    device and no core of its own, watches.

    Args:
        config: A dictionary with ``cell`` (the TrialConfig as a dictionary), ``measure`` (the MeasureConfig as a
            dictionary), ``bundles`` (the resources of each of its processes), ``n_cpus`` (with which each computes),
            ``timeout_s`` (of the cell), ``hang_s`` (how long a process of several may be silent), ``on_nodes`` (a label
            selector, or None), ``is_fresh`` (no worker that measured before may run it), ``code`` (the user's model as
            text, or None) and ``device_facts`` (by the device's place: its node and its number there).
        storage: The folder to work in, where nothing of the user's is; anything else for the one that it is in.
    """

    def __init__(self, config: dict[str, Any], storage: Any = None, **_: Any) -> None:
        self._run: CellRun | RunElsewhere | TeamRun | NeverBegan | None = None
        self._team: Team | None = None
        self._is_unclean = self._has_told_all = self._is_frozen = self._is_watching = False
        self._set_up(config, storage)

    def reset(self, new_config: dict[str, Any], storage: Any = None, **_: Any) -> bool:
        """Take the next cell."""
        self._close_run()
        if not self._is_frozen:
            # What the libraries made when they were imported stays; looking through it took 0.2 s between cells.
            gc.collect()
            gc.freeze()
            self._is_frozen = True
        self._set_up(new_config, storage)
        return True

    def _set_up(self, config: dict[str, Any], storage: Any) -> None:
        wait_for_imports()
        if isinstance(storage, str):  # else what Tune keeps, and works in already
            os.makedirs(storage, exist_ok=True)
            os.chdir(storage)
        give_sent(config["code"])
        self._has_told_all = self._is_watching = False
        self._measure = MeasureConfig(**config["measure"])
        if len(config["bundles"]) > 1:
            self._run, self._is_watching = self._on_a_team(config), True
            return
        wait_for_imports("sweeps.cell.cell_run")
        from sweeps.cell.cell_run import CellRun  # the driver, which has this class too, measures nothing

        place, cell = place_here(), TrialConfig.from_dict(config["cell"])
        asked: dict[str, Any] = {
            "cell": cell, "measure": self._measure, "place": place,
            "device_facts": config["device_facts"].get(place.key),
            "n_threads": self._measure.n_threads or default_threads(config["n_cpus"]),
        }  # fmt: skip
        variables = environment_of(cell.allocator)
        if not variables:
            end_own_process()
        elsewhere: dict[str, Any] = {"report_every_s": self._measure.report_every_s, "code": config["code"], **asked}
        self._run = RunElsewhere(variables, **elsewhere) if variables else CellRun(**asked)

    def _on_a_team(self, config: dict[str, Any]) -> TeamRun | NeverBegan:
        """The cell on processes that wait for one, or on new ones."""
        if self._team is not None and config["is_fresh"]:
            self._end_team()
        try:
            self._team = self._team or Team(config["bundles"])
        except RankFellError as error:
            return NeverBegan(error)
        return TeamRun(self._team, config)

    def train(self) -> dict[str, Any]:
        """Measure until there is something worth sending; the last message holds the final row.

        A pause or a failure comes after that: no kill meanwhile takes the row, nor is it part of the cell's time.
        """
        if self._has_told_all:
            time.sleep(self._measure.cooldown_s)
            if self._is_unclean:
                raise UncleanWorkerError
            return {"done": True}
        assert self._run is not None
        run_until_told(self._run, self._measure.report_every_s)
        message: Message = self._run.take_message()
        if message.is_final:
            # Who only watched is as before: of a cell on several devices its processes end, and new ones take the next.
            self._is_unclean = not (self._run.ended_well or self._is_watching)
            if not self._run.ended_well:
                self._end_team()
            end_children()
        self._has_told_all = self._is_unclean or (message.is_final and self._measure.cooldown_s > 0)
        sys.stdout.flush()
        return {"message": message, "pid": os.getpid(), "done": message.is_final and not self._has_told_all}

    def get_auto_filled_metrics(self, **_: Any) -> dict[str, Any]:
        """What stands for a result before there is one."""
        return {"pid": os.getpid()}

    def get_current_ip_pid(self) -> tuple[str, int]:
        """Where this is."""
        return ray.util.get_node_ip_address(), os.getpid()

    def stop(self) -> None:
        """Let go of everything."""
        self._close_run()
        self._end_team()

    def _end_team(self) -> None:
        if self._team is not None:
            self._team.end()
            self._team = None

    def _close_run(self) -> None:
        if self._run is not None:
            self._run.close()
            if not self._run.ended_well:
                self._end_team()
            self._run = None
