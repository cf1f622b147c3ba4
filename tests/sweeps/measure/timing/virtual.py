"""Virtual time, and what theory knows of a queue whose services are all alike."""

from __future__ import annotations

import math


class VirtualClock:
    """Time that passes only when somebody waits or works."""

    def __init__(self) -> None:
        self.time = 5.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)

    def work(self, seconds: float) -> None:
        self.time += seconds


SERVICE = 0.01
"""Seconds of one request, in virtual time; every queue below has one server and an endless queue."""


def waiting_share(wait_s: float, load: float) -> float:
    """Share of requests of an M/D/1 queue that wait at most so long (Erlang 1909; Tijms, Stochastic Models, 4.4).

    Its terms alternate and cancel: good for up to some twenty services.
    """
    rate, total = load / SERVICE, 0.0
    for k in range(math.floor(wait_s / SERVICE + 1e-9) + 1):
        ahead = rate * (k * SERVICE - wait_s)
        total += ahead**k / math.factorial(k) * math.exp(-ahead)
    return (1 - load) * total
