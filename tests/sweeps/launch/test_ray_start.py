"""Ray started in a thread: with what cells need, whatever a release of Ray calls its parts, and its failure told."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from sweeps.launch.ray_start import RayOptions, RayStart
from sweeps.scheduling.endings import SweepLostError

SWEEP = """
import time
import psutil, ray
from sweeps.launch.servers import private
from sweeps.launch.ray_start import RayOptions, RayStart

def broken(node, **_):
    raise AttributeError("a release that has no such part")
private._start_none = broken
with RayStart(RayOptions(ahead=("json",))) as start:
    start.wait()
    print([" ".join(p.cmdline()) for p in psutil.Process().children()], ray.is_initialized())
    held = [ray.put(i) for i in range(2000)]
    start.leave()
    while start.is_alive():  # what is dropped while Ray ends does not end the process
        held and held.pop()
        time.sleep(2e-4)
print(ray.is_initialized())
"""


OURS, RAYS_OWN = {"gcs_server", "raylet"}, {"dashboard.py", "monitor.py"}


def servers_in(commands: str) -> set[str]:
    return {name for name in OURS | RAYS_OWN if name in commands}


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.usefixtures("shared_ray")
def test_ray_starts_with_what_cells_need() -> None:
    assert servers_in(" ".join(" ".join(p.cmdline()) for p in psutil.Process().children())) == OURS


@pytest.mark.slow
def test_where_a_release_calls_its_parts_otherwise_ray_starts_as_it_does_itself() -> None:
    done = subprocess.run([sys.executable, "-c", SWEEP], capture_output=True, text=True, check=False, timeout=120)
    *_, started, ended = done.stdout.splitlines()
    assert servers_in(started) == OURS | RAYS_OWN, done.stdout + done.stderr
    assert (started.split()[-1], ended) == ("True", "False")


def test_why_ray_did_not_start_is_told_where_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sweeps.launch.ray_session.start_ray", lambda _: (_ for _ in ()).throw(OSError("no port is free"))
    )
    with RayStart(RayOptions()) as start, pytest.raises(SweepLostError, match=r"^Ray did not start: no port is free$"):
        start.wait()
