"""Ray started in a thread: with what cells need, whatever a release of Ray calls its parts, and its failure told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sweeps.launch.ray_start import RayOptions, RayStart
from sweeps.scheduling.endings import SweepLostError

SWEEP = """
import sys, time
import psutil, ray
from sweeps.launch.servers import private
from sweeps.launch.ray_start import RayOptions, RayStart

if "another" in sys.argv:
    def broken(node, **_):
        raise AttributeError("a release that has no such part")
    private._start_none = broken
with RayStart(RayOptions(ahead=("json",))) as start:
    start.wait()
    names = {word for p in psutil.Process().children() for word in ("dashboard.py", "monitor.py", "raylet", "gcs_server")
             if any(word in part for part in p.cmdline())}
    print(sorted(names), ray.is_initialized())
    held = [ray.put(i) for i in range(2000)]
    start.leave()
    while start.is_alive():  # what is dropped while Ray ends does not end the process
        held and held.pop()
        time.sleep(2e-4)
print(ray.is_initialized())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "servers"),
    [([], "['gcs_server', 'raylet']"), (["another"], "['dashboard.py', 'gcs_server', 'monitor.py', 'raylet']")],
)
def test_ray_starts_with_what_cells_need_or_else_as_it_does_itself(more: list[str], servers: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWEEP, *more], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines()[-2:] == [f"{servers} True", "False"], done.stdout + done.stderr


def test_why_ray_did_not_start_is_told_where_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sweeps.launch.ray_session.start_ray", lambda _: (_ for _ in ()).throw(OSError("no port is free"))
    )
    with RayStart(RayOptions()) as start, pytest.raises(SweepLostError, match=r"^Ray did not start: no port is free$"):
        start.wait()
