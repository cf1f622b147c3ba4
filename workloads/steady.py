"""What workloads have in common whose steps are all alike and that are measured for as long as the harness wants."""

from __future__ import annotations

from collections.abc import Mapping


class SteadyWork:
    """No rounds of its own, no end, no quality but agreement; see ``workloads.base.Workload``."""

    steps_per_round: int | None = None

    def end_round(self, round_index: int) -> Mapping[str, float]:
        return {}

    def is_done(self) -> bool:
        return False

    def quality(self) -> Mapping[str, object]:
        return {}

    def teardown(self) -> None:
        vars(self).clear()
