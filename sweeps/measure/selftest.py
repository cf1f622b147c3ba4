"""Every proof of this folder, run on the user's own machine in under a minute, one line each.

What it prints is what a bug report should contain: no path, no user name, no host name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeps.measure.device.description import describe
from sweeps.measure.device.device import available_devices, open_device
from sweeps.measure.device.environment import environment
from sweeps.measure.places import PLACES
from sweeps.measure.proofs import GENERAL, PER_DEVICE, Verdict
from workloads.runtime.words import in_short


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What one proof found.

    Attributes:
        name: What was to be shown.
        device: On which device, or ``-`` for what has none.
        passed: Shown, or not; None where this machine cannot show it, which is no fault of the tool.
        detail: What was seen.
        seconds: How long it took.
    """

    name: str
    device: str
    passed: bool | None
    detail: str
    seconds: float

    def line(self) -> str:
        """The proof as one line of text."""
        word = {True: "ok", False: "FAILED", None: "note"}[self.passed]
        return f"{word:<6}  {self.device:<4}  {self.name:<34}  {self.detail} ({self.seconds:.1f} s)"


def _run(name: str, device: str, check: Callable[[], Verdict]) -> Proof:
    began = time.perf_counter()
    try:
        passed, detail = check()
    except Exception as error:  # the other proofs are wanted all the same
        passed, detail = False, in_short(error)
    return Proof(name=name, device=device, passed=passed, detail=detail, seconds=time.perf_counter() - began)


def _say_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _headline(name: str) -> str:
    facts, about = environment(open_device(name)), describe(name)
    driver = f", driver {facts['driver_version']}" if facts["driver_version"] else ""
    note = f"; {about.compile_note}" if about.compile_note else ""
    return (
        f"{name}: {facts['device_name']}{driver}, torch {facts['torch_version']}, Python {facts['python_version']}, "
        f"{facts['os']}, {facts['n_threads']} of {facts['n_cpus']} CPUs{note}"
    )


def run_selftest(devices: Sequence[str] | None = None, say: Callable[[str], None] | None = _say_line) -> list[Proof]:
    """Run every proof on each device.

    Args:
        devices: Names of devices; all of this machine by default.
        say: Called with each line as it is known; None for silence.

    Raises:
        ValueError: For a device that is not here, before anything is run.
    """
    opened = {name: open_device(name) for name in devices or available_devices()}
    say = say or (lambda _line: None)
    proofs: list[Proof] = []

    def prove(name: str, device: str, check: Callable[[], Verdict]) -> None:
        proofs.append(_run(name, device, check))
        say(proofs[-1].line())

    for title, check in GENERAL:
        prove(title, "-", check)
    for name, device in opened.items():
        say(_headline(name))
        for title, check_device in (*PER_DEVICE, *(PLACES if name != "cpu" else ())):
            prove(title, name, lambda c=check_device, d=device: c(d))  # type: ignore[misc]
    counts = [sum(proof.passed is verdict for proof in proofs) for verdict in (True, False, None)]
    say(f"{counts[0]} ok, {counts[1]} failed, {counts[2]} to note, {sum(p.seconds for p in proofs):.0f} s")
    return proofs
