"""THE table of scenarios: how a workload's steps are sent, in MLPerf's terms. The harness times them as a row says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One scenario.

    Attributes:
        told: What it does, as the option's help says it after the name.
        n_batches: Batches of one query.
        is_latency: A sample is the latency of one query, whatever the timer takes of it; else several are timed as one.
        sample_s: Seconds that a sample of several queries lasts at least.
        takes_replicas: Several devices share its work, each with a network of its own.
        is_served: Requests arrive at random times, at a rate that is asked for or searched for.
    """

    told: str = ""
    n_batches: int = 1
    is_latency: bool = False
    sample_s: float = 0.0
    is_served: bool = False
    takes_replicas: bool = False


SCENARIOS: dict[str, Scenario] = {
    "offline": Scenario(
        told="queues batches without waiting and measures throughput", sample_s=0.05, takes_replicas=True
    ),
    "single-stream": Scenario(
        told="sends the next batch when the last is done and measures latency", is_latency=True
    ),
    # Eight samples in a query: MLPerf Inference rules.
    "multi-stream": Scenario(told="sends queries of eight batches", n_batches=8, is_latency=True),
    "server": Scenario(
        told="sends at random times at --rate and measures latency from the scheduled arrival",
        is_latency=True, is_served=True, takes_replicas=True,
    ),
}  # fmt: skip
HELP = f"Axis (MLPerf's terms): {'; '.join(f'{name} {scenario.told}' for name, scenario in SCENARIOS.items())}."


@dataclass(frozen=True, kw_only=True)
class Sending:
    """How a cell's steps are sent.

    Attributes:
        scenario: One of the table; by default one step after the other.
        rate_per_s: Mean arrivals per second, where the scenario is served; None to search the highest.
        max_latency_ms: Milliseconds that a request may take, which the search holds.
        others: What serves a request and returns when it is done, of each replica in another process.
    """

    scenario: Scenario = Scenario()
    rate_per_s: float | None = None
    max_latency_ms: float | None = None
    others: tuple[Callable[[], object], ...] = ()


def is_served(name: object) -> bool:
    """Whether a scenario of this name has requests arrive; false for what names none."""
    return name in SCENARIOS and SCENARIOS[str(name)].is_served


class SteadyWork:
    """What a workload has whose steps are all alike, so that a scenario can send them: no rounds, no end of its own."""

    steps_per_round: int | None = None

    def end_round(self, round_index: int) -> Mapping[str, float]:
        return {}

    def is_done(self) -> bool:
        return False

    def quality(self) -> Mapping[str, object]:
        return {}

    def teardown(self) -> None:
        vars(self).clear()
