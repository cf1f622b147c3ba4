"""Finding batch sizes: doubling until memory or gains end, then bisection to the largest that fits.

On an accelerator doubling goes on past the fastest size until memory ends. In the host's memory it stops with the
gains, because filling it would stall the whole machine; out of memory met on the way is bisected there too. Where an
accelerator shares the host's memory the system recommends a most (Apple's: some 0.75 of it) and allows more than there
is, so that the machine swaps first: memory ends there with what is recommended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from analysis.contract.cells import BOUNDS_BATCH, Row, known
from sweeps.choosing.chooser import WAIT, Chooser, Columns, Rounds, Wait
from sweeps.plan.config import TrialConfig
from sweeps.store.rows import SampleBlock
from workloads.base import BatchTooSmallError

MIN_GAIN = 0.05
"""Doubling that gains less than this share of throughput is no gain."""
N_FLAT = 2
"""Doublings without gain after which the fastest size counts as found."""
MAX_STEP_S = 20.0
"""A step that takes longer ends the doubling: its next double would measure nothing that anyone runs."""
MAX_BATCH = 2**20


def share_of_recommended(row: Row) -> float | None:
    """The part of the recommended memory that a size took at its peak, kept blocks included; None where none is."""
    most = known(row.get("device_recommended_max_bytes"))
    told = (known(row.get(f"device_peak_{kind}_bytes")) for kind in ("allocated", "reserved"))
    peaks = [peak for peak in told if peak is not None]
    return max(peaks) / most if most and peaks else None


class BatchSearch:
    """The search for one cell's batch size, from its smallest; a state machine that is told each size's row.

    Where it ``goes_on_to_memory`` it doubles until memory ends, gains or not.
    """

    def __init__(self, seed_cell: TrialConfig, *, goes_on_to_memory: bool) -> None:
        self.seed_cell, self._goes_on = seed_cell, goes_on_to_memory
        self._rates: dict[int, float] = {}
        self._shares: dict[int, float] = {}
        self._largest, self._smallest_over, self._too_small, self._n_flat = 0, MAX_BATCH + 1, 0, 0
        self.next_size: int | None = seed_cell.batch_size
        """The next batch size to try, or None when the search has ended."""
        self.is_waiting = False

    def cell(self, size: int) -> TrialConfig:
        return dataclasses.replace(self.seed_cell, batch_size=size)

    def tell(self, row: Row) -> None:
        """Take the row of the size that was tried last."""
        self.is_waiting = False
        size = int(row["batch_size"])
        share = share_of_recommended(row)
        if row["status"] in BOUNDS_BATCH or (row["status"] == "complete" and share is not None and share > 1):
            self._smallest_over = min(self._smallest_over, size)
        elif row["status"] == "complete":
            if share is not None:
                # Of no items there are the weights, where it is known what they take.
                weights = (row.get("static_bytes") or 0) / row["device_recommended_max_bytes"]
                self._shares = {0: min(weights, share), **self._shares, size: share}
            before = max(self._rates.values(), default=0.0)
            self._rates[size] = rate = known(row["throughput_items_per_s"]) or 0.0
            if size > self._largest:  # bisection's sizes below the largest double say nothing about gains
                self._n_flat = 0 if rate > before * (1 + MIN_GAIN) else self._n_flat + 1
            self._largest = max(self._largest, size)
        elif row.get("error_type") == BatchTooSmallError.__name__:
            self._too_small = size
            self.next_size = 2 * size if 2 * size <= MAX_BATCH else None
            return
        else:
            self.next_size = None  # unsupported, crashed, timeout, error: a larger batch would not mend it
            return
        self.next_size = self._choose((known(row.get("step_median_s")) or 0.0) > MAX_STEP_S)

    @property
    def first_over_recommended(self) -> int:
        """The first size that would need more than the recommended memory, on a line through the two largest so far."""
        if len(self._shares) < 2:
            return MAX_BATCH + 1
        (before, share_before), (size, share) = sorted(self._shares.items())[-2:]
        grows = (share - share_before) / (size - before)
        return min(MAX_BATCH, size + int((1 - share) / grows)) + 1 if grows > 0 else MAX_BATCH + 1

    def _choose(self, is_slow: bool) -> int | None:
        over = min(self._smallest_over, self.first_over_recommended)
        if self._smallest_over <= MAX_BATCH or 2 * self._largest >= over:
            middle, least = (self._largest + over) // 2, max(self._largest, self._too_small)
            # Bisection ends at 1/64 of the size: finer than that, fragmentation decides, not the batch.
            is_worth = over - self._largest > max(1, self._largest // 64)
            return middle if least < middle < over and is_worth else None
        if is_slow or (self._n_flat >= N_FLAT and not self._goes_on) or self._largest >= MAX_BATCH:
            return None
        return self._largest * 2

    def roles(self) -> dict[int, str]:
        """What each size that ran turned out to be."""
        if not self._rates:
            return {}
        best = max(self._rates.values())
        fastest = min(size for size, rate in self._rates.items() if rate == best)
        roles = dict.fromkeys(self._rates, "probe")
        roles[self._largest] = "largest"
        roles[fastest] = "fastest and largest" if fastest == self._largest else "fastest"
        return roles


class AutoBatch(Chooser):
    """Searches the batch size of each of some cells at batch size 1; ``rows`` are those recorded already."""

    def __init__(self, seeds: Iterable[TrialConfig], rows: Iterable[Row]) -> None:
        super().__init__(())
        self._known = {row["trial_key"]: row for row in rows}
        self._searches = [BatchSearch(seed, goes_on_to_memory=seed.device != "cpu") for seed in seeds]
        self._of_key: dict[str, BatchSearch] = {}

    def next_cell(self) -> TrialConfig | Wait | None:
        for search in self._searches:
            while not search.is_waiting and search.next_size is not None:
                cell = search.cell(search.next_size)
                self._of_key[cell.key] = search
                if cell.key not in self._known:
                    search.is_waiting = True
                    return cell
                search.tell(self._known[cell.key])
        return WAIT if any(search.is_waiting for search in self._searches) else None

    def close(self, cell: TrialConfig, row: Columns, rounds: list[Columns], samples: list[SampleBlock]) -> None:
        row["search_role"] = "probe"

    def recorded(self, cell: TrialConfig, row: Row, rounds: Rounds) -> None:
        self._of_key[cell.key].tell(row)

    def finish(self) -> Mapping[str, Row]:
        """The roles of the sizes of each search that has ended."""
        return {
            search.cell(size).key: {"search_role": role}
            for search in self._searches
            if search.next_size is None
            for size, role in search.roles().items()
            if role != "probe"
        }

    def summary(self) -> list[str]:
        lines = []
        for search in self._searches:
            roles = {role: size for size, role in search.roles().items() if role != "probe"}
            words = ", ".join(f"{role} {size}" for role, size in sorted(roles.items()))
            name = search.seed_cell.label.replace(f" batch {search.seed_cell.batch_size}", "")
            has_ended = search.next_size is None
            told = words or "none runs" if has_ended else f"{words or 'none'} so far; the search has not finished"
            lines.append(f"batch size of {name}: {told}")
        return lines
