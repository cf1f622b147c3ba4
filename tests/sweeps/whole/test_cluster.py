"""A sweep on real nodes: three raylets on this machine, joined with a token, one of them killed in the middle."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.sweeps.conftest import ROOT
from tests.sweeps.whole.driving import wait_for_rows
from tests.sweeps.whole.faulty.faults import install_faulty

# A node counts as dead after some 5 s instead of 15; a busy machine must not look dead.
HEALTH = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5, "health_check_timeout_ms": 5000,
          "health_check_initial_delay_ms": 2000, "prestart_worker_first_driver": False}  # fmt: skip
N_CELLS = 10
CELLS = ["faulty", "--device", "cpu", "--cell", *map(str, range(N_CELLS)), "--min-rounds", "2", "--min-s", "1.5", "--max-s", "2",
         "--no-report", "--no-recheck", "--output", "out"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Raylets:
    """Nodes that `ray start` made.

    Attributes:
        address: Of the head.
        nodes: The processes of `ray start --block`, the head first.
        environment: With the token.
    """

    address: str
    nodes: list[subprocess.Popen[bytes]]
    environment: dict[str, str]

    def kill(self, index: int) -> None:
        """Kill a node's raylet, as if its machine had lost power."""
        for child in psutil.Process(self.nodes[index].pid).children():
            if child.name() == "raylet":
                child.kill()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def raylets(tmp_path: Path) -> Iterator[Raylets]:
    """A head that gives no CPU, and two nodes of 2 CPUs: one as two devices of 1 CPU, one as a whole."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # the names of sockets may not be long
    path = os.pathsep.join([str(install_faulty(tmp_path / "site")), str(ROOT)])
    environment = {
        **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(20), "PYTHONPATH": path,
    }  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", "--port", address.split(":")[1], "--num-cpus", "0", "--temp-dir", folder,
            "--include-dashboard=false", "--no-monitor", "--system-config", json.dumps(HEALTH)]  # fmt: skip
    whole = ["--address", address, "--num-cpus", "2"]
    halves = [*whole, "--resources", '{"accelsweep_cpu": 2}']
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        for arguments in (head, halves, whole):
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
                       "--include-log-monitor=false", "--node-ip-address", "127.0.0.1", "--object-store-memory", str(80 * 2**20), *arguments]  # fmt: skip
            log = Path(folder) / f"{len(nodes)}.log"
            with log.open("wb") as file:
                nodes.append(
                    subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
                )
            wait_for(log, "Ray runtime started", nodes[-1])
        yield Raylets(address=address, nodes=nodes, environment=environment)
    finally:
        for node in reversed(nodes):
            kill_all(node)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    """Until a node says that it has started: two at once on one machine may take the same port."""
    deadline = time.monotonic() + 90
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text()
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)


def kill_all(node: subprocess.Popen[bytes]) -> None:
    for process in [*psutil.Process(node.pid).children(recursive=True), node]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    node.wait()


def start(raylets: Raylets, tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "sweeps" / "run.py"), *arguments, "--address", raylets.address],
        cwd=tmp_path, env=raylets.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def rows_of(tmp_path: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(p) for p in tmp_path.glob("out/*/trials/[!.]*.parquet")], ignore_index=True)


@pytest.mark.slow
def test_cells_run_on_each_kind_of_node_two_at_once_on_one_and_where_a_node_is_lost_elsewhere(
    raylets: Raylets, tmp_path: Path
) -> None:
    process = start(raylets, tmp_path, *CELLS)
    try:
        wait_for_rows(tmp_path / "out", 4, process)
        while (rows_of(tmp_path)["n_threads"] == 1).sum() < 2 and process.poll() is None:
            time.sleep(0.1)
        wait_until_it_measures(raylets, 1, process)
        raylets.kill(1)
        out, _ = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, out
    assert "was lost; 1 node is left" in out
    assert "Traceback" not in out
    rows = rows_of(tmp_path)
    assert len(rows) == N_CELLS == rows["trial_key"].nunique(), out
    assert (rows["status"] == "complete").all(), out
    nodes = {line.split("; ")[-1]: line for line in out.splitlines() if line.startswith("node ") and " cpu; " in line}
    for kind, mine in rows.groupby(rows["n_threads"].map({1: "(1 CPU)", 2: "(2 CPUs)"})):
        (told,) = (line for name, line in nodes.items() if name.endswith(kind))
        assert ("2 x cpu" in told) == (kind == "(1 CPU)")
        assert mine["node_id"].nunique() == 1, "a trial owns every core that its node gives, or its share"
        assert mine["node_id"].iloc[0][:8] in told
    assert rows["clock_offset_s"].abs().max() < 0.5, "it is one machine"
    halves = rows[rows["n_threads"] == 1]
    together = [
        (a, b)
        for a in halves.itertuples()
        for b in halves.itertuples()
        if a.worker_pid != b.worker_pid and a.started_at < b.started_at < a.started_at + pd.Timedelta(seconds=a.wall_s)
    ]
    assert together, f"no two trials ran at once on one node: {rows[['node_id', 'worker_pid', 'started_at', 'wall_s']]}"


def wait_until_it_measures(raylets: Raylets, index: int, process: subprocess.Popen[str]) -> None:
    """Until a worker of the node computes; an actor's process is named after what it runs."""
    deadline = time.monotonic() + 120
    node = psutil.Process(raylets.nodes[index].pid)
    while time.monotonic() < deadline and process.poll() is None:
        for child in node.children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
                if "CellActor.train" in " ".join(child.cmdline()):
                    return
        time.sleep(0.1)
    raise AssertionError(f"no trial began on the node, exit code {process.poll()}")
