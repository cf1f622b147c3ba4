"""While a sweep runs on several nodes: which were lost, whose cells go to others, and what trials wait for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback

from sweeps.launch.ray_private import free_by_node, has_resources
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.nodes import Pool
from sweeps.scheduling.placement import Placement

LOOK_S = 2.0
"""How often the nodes are looked at."""
SAY_S = 15.0
"""A trial that no node took for this long is told of; starting a worker takes less."""
GRACE_S = 60.0
"""Ray takes some 15 s to count a node as dead whose workers cannot be reached any more."""
_UNREACHED = "is unavailable"
_DEAD_NODE = re.compile(r"node has died.*?([0-9a-f]{56})", re.DOTALL)


class NodeWatch(Callback):
    """Notices nodes that are lost, gives their cells to others, and says what trials wait for.

    A cell that no node takes for ``timeout_s`` ends as timed out. ``controller`` is Tune's, set by the scheduler.
    """

    def __init__(self, placement: Placement, ledger: Ledger, say: Callable[[str], None], timeout_s: float) -> None:
        self._placement, self._ledger, self._say, self._timeout_s = placement, ledger, say, timeout_s
        self.controller: Any = None
        self._looked = self._told = time.monotonic()
        self._since: dict[str, float] = {}
        self._doubted: dict[str, tuple[float, str]] = {}
        """When a trial's worker could not be reached, and what Ray said; whether its node died shows later."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the ledger: Tune copies its callbacks into an experiment state that is never read."""
        return {}

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._judge()
        waiting = [trial_id for trial_id in self._ledger.waiting() if trial_id not in self._doubted]
        running = [trial_id for trial_id in self._ledger.running if trial_id not in waiting]
        self._since = {trial_id: self._since.get(trial_id, now) for trial_id in waiting}
        by_id = {trial.trial_id: trial for trial in trials}
        for trial_id in waiting:
            pool, trial = self._placement.pool_of(trial_id), by_id.get(trial_id)
            if pool is None:
                continue
            if not self._placement.cluster.nodes.keys() & set(pool.node_ids):  # none of them is left
                self._ledger.requeue(trial_id)
                self._take_back(trial)
            elif self._placement.is_ours(pool, running):
                self._since[trial_id] = now  # it waits for a cell of this sweep
            elif now - self._since[trial_id] > self._timeout_s:
                told = f"no node took it within --node-timeout {self._timeout_s:g} s; {self._state(pool)}"
                self._ledger.give_up(trial_id, "timeout", told)
                self._take_back(trial)
            elif now - max(self._since[trial_id], self._told) > SAY_S and not has_resources(self.controller, trial):
                self._told = now
                needed = " and ".join(f"{n:g} {name}" for name, n in pool.needs.items())
                self._say(f"waiting for {needed}: {self._state(pool)}")

    def look(self) -> None:
        """Take out the nodes that are dead."""
        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        for node_id in [n for n in self._placement.cluster.nodes if n not in alive]:
            node = self._placement.lose(node_id)
            if node is not None:
                left = sum(bool(other.devices) for other in self._placement.cluster.nodes.values())
                self._say(f"node {node.name} was lost; {left} {'node is' if left == 1 else 'nodes are'} left")

    def failed(self, trial_id: str, error: str) -> bool:
        """Take a trial whose worker died; False if that is its outcome, True if its node died or may have."""
        self.look()
        is_lost = self._requeue_if_lost(trial_id, error)
        if not is_lost and _UNREACHED in error:
            self._doubted[trial_id] = (time.monotonic(), error)
        return is_lost or _UNREACHED in error

    def judge(self) -> None:
        """Decide on trials whose workers could not be reached; where none runs, Tune takes no step and only asks."""
        if self._doubted and time.monotonic() - self._looked >= LOOK_S:
            self._judge()

    def _judge(self) -> None:
        self._looked = time.monotonic()
        self.look()
        for trial_id, (since, error) in list(self._doubted.items()):
            if self._requeue_if_lost(trial_id, error):
                del self._doubted[trial_id]
            elif time.monotonic() - since > GRACE_S:
                del self._doubted[trial_id]
                self._ledger.close(trial_id, error=error)

    def _requeue_if_lost(self, trial_id: str, error: str) -> bool:
        """Whether a trial's node was lost; its cell is then handed out again, or recorded if it is the second time."""
        found = _DEAD_NODE.search(error)
        node_id, pool = found[1] if found else self._ledger.node_of(trial_id), self._placement.pool_of(trial_id)
        # Before a worker's first message it may be on any node of its pool, and one of them died as it did.
        there = [node_id] if node_id is not None else list(pool.node_ids) if pool is not None else []
        if not any(node.node_id in there for node in self._placement.lost):
            return False
        if not self._ledger.requeue(trial_id, is_lost=True):
            self._ledger.close(trial_id, error=error, reason="its node was lost for the second time")
        return True

    def _take_back(self, trial: Any) -> None:
        if trial is not None and self.controller is not None:
            self.controller.stop_trial(trial)  # what request_stop_trial notes is never looked at (Ray 2.60)

    def _state(self, pool: Pool) -> str:
        """What is free on a pool's nodes."""
        free, told = free_by_node(), []
        for node_id, node in self._placement.cluster.nodes.items():
            if node_id in pool.node_ids:
                has = [f"{node.resources.get(name, 0):g} {name}" for name in pool.needs]
                if free:
                    left = (free.get(node_id, {}).get(name, 0) for name in pool.needs)
                    has = [f"{n:g} of {total}" for n, total in zip(left, has, strict=True)]
                told.append(f"{node.name} has {', '.join(has)}{' free' if free else ''}")
        return "; ".join(told)
