"""Which nodes each trial was given, free of Ray: never more on a pool of nodes than can run there and one that waits.

The one that waits takes over the worker of the one that ends, with everything imported. Further cells wait for room
between the chooser and the ledger.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from sweeps.choosing.chooser import WAIT, Chooser, Wait
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.scheduling.nodes import Cluster, Node, Pool

Class = tuple[str, str | None, int]
"""Device, kind of node and number of devices: what decides which nodes can take a cell."""


def class_of(cell: TrialConfig) -> Class:
    """What decides which nodes can take a cell."""
    return cell.device, cell.node, cell.n_devices


class Placement:
    """Gives trials to pools of nodes."""

    def __init__(self, cluster: Cluster, config: SweepConfig) -> None:
        self.cluster, self._config = cluster, config
        self._placed: dict[str, Pool] = {}
        self._left: dict[str, Pool] = {}
        """Where trials were that have ended: why one did may only be known later."""
        self._pools: dict[Class, list[Pool]] = {}
        self.lost: list[Node] = []

    def pools(self, cell: TrialConfig) -> list[Pool]:
        """The pools that can take a cell."""
        name = class_of(cell)
        if name not in self._pools:
            self._pools[name] = self.cluster.pools(*name)
        return self._pools[name]

    @property
    def n_concurrent(self) -> int:
        """Most trials at a time: those that run, and one for each pool that waits."""
        kinds = self._config.node_kinds
        names = [(device, kind, n) for device in self._config.device for kind in kinds.get(device, (None,))
                 for n in self._config.n_devices]  # fmt: skip
        pools = {pool for name in names for pool in self.cluster.pools(*name)}
        return max(1, sum(pool.n_slots + 1 for pool in pools))

    @property
    def look_ahead(self) -> int:
        """Cells that may be taken before there is room for them, so that one kind of node need not wait for another.

        What comes next of a search or a pruned grid depends on what ended; there it is one for each place.
        """
        is_known = self._config.is_grid and self._config.pruning.pruner == "none"
        return 100_000 if is_known else self.n_concurrent

    def has_room(self, cell: TrialConfig) -> bool:
        """Whether a cell can be given to nodes now; true as well of one that no node can take, which is not to wait."""
        pools = self.pools(cell)
        return not pools or any(self._load(pool) <= pool.n_slots for pool in pools)

    def place(self, trial_id: str, cell: TrialConfig) -> Pool | None:
        """Give a trial to the pool with most room; None if no node can take it."""
        pool = min(self.pools(cell), key=lambda p: self._load(p) / p.n_slots, default=None)
        if pool is not None:
            self._placed[trial_id] = pool
        return pool

    def release(self, trial_id: str) -> None:
        """A trial has ended."""
        pool = self._placed.pop(trial_id, None)
        if pool is not None:
            self._left[trial_id] = pool

    def pool_of(self, trial_id: str) -> Pool | None:
        """Where a trial was given to."""
        return self._placed.get(trial_id) or self._left.get(trial_id)

    def lose(self, node_id: str) -> Node | None:
        """Take a node out; what it was, or None if it was out already."""
        node = self.cluster.nodes.pop(node_id, None)
        if node is not None:
            self.lost.append(node)
            self._pools.clear()
        return node

    def why_none(self, cell: TrialConfig) -> tuple[str, str]:
        """Status and reason of a cell that no node can take; what a lost node could have run may be tried again."""
        gone = [n for n in self.lost if cell.device in n.devices and cell.node in (None, n.kind(cell.device))]
        if gone:
            return "crashed", f"the nodes that could run it were lost: {', '.join(node.name for node in gone)}"
        most = max((node.most_devices(cell.device) for node in self.cluster.nodes.values()
                    if cell.node in (None, node.kind(cell.device))), default=0)  # fmt: skip
        if 0 < most < cell.n_devices:
            what = "CPUs" if cell.device == "cpu" else f"{cell.device} devices"
            return "unsupported", f"needs {cell.n_devices} {what} in one node; the most that one has is {most}"
        if cell.node is not None and cell.device in self.cluster.devices:
            return "unsupported", f"no node of the cluster is a {cell.node} with {cell.device}"
        return "unsupported", f"no node of the cluster has {cell.device}"

    def is_ours(self, pool: Pool, running: Iterable[str]) -> bool:
        """Whether one of the running trials may be what a pool's nodes are busy with."""
        mine = (self._placed[trial_id] for trial_id in running if trial_id in self._placed)
        return any(set(pool.node_ids) & set(other.node_ids) for other in mine)

    def _load(self, pool: Pool) -> int:
        return sum(placed == pool for placed in self._placed.values())


class WaitingCells:
    """Takes cells from a chooser and keeps those that there is no room for yet: others need not wait for them."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self._held: dict[Class, deque[TrialConfig]] = {}
        """By what decides where they can run: cells of one name find room, or none, together."""

    def next_cell(self, has_room: Callable[[TrialConfig], bool], look_ahead: int) -> TrialConfig | Wait | None:
        """The next cell that there is room for, WAIT, or None when none is left.

        No more than ``look_ahead`` may wait for further ones to be looked at.
        """
        for cells in self._held.values():
            if cells and has_room(cells[0]):
                return cells.popleft()
        n_held = sum(map(len, self._held.values()))
        while n_held <= look_ahead:
            cell = self._chooser.next_cell()
            if cell is None:
                return WAIT if n_held else None
            if not isinstance(cell, TrialConfig) or has_room(cell):
                return cell
            self._held.setdefault(class_of(cell), deque()).append(cell)
            n_held += 1
        return WAIT

    def put_back(self, cell: TrialConfig) -> None:
        """A cell that was handed out did not run: it comes next."""
        self._held.setdefault(class_of(cell), deque()).appendleft(cell)

    def clear(self) -> list[TrialConfig]:
        """Forget the cells that wait; which they were."""
        left = [cell for cells in self._held.values() for cell in cells]
        self._held.clear()
        return left
