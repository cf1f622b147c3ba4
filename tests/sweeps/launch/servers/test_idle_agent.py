"""What waits in place of an agent: it becomes the agent when it is called, and ends with who started it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import psutil

from sweeps.launch.servers.private import IDLE_AGENT

IDLE = [sys.executable, "-I", "-S", str(IDLE_AGENT), "127.0.0.1"]
PARENT = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def waits(process: psutil.Process) -> bool:
    return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections())


def test_it_becomes_the_agent_when_it_is_called() -> None:
    port = free_port()
    idle = subprocess.Popen([*IDLE, str(port), "/bin/sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True)
    while not waits(psutil.Process(idle.pid)):
        time.sleep(0.01)
    socket.create_connection(("127.0.0.1", port)).close()
    assert idle.communicate(timeout=20)[0] == f"{idle.pid}\n", "the process that Ray started is the agent"


def test_it_ends_with_who_started_it() -> None:
    command = [sys.executable, "-I", "-S", "-c", PARENT, *IDLE, str(free_port()), "/bin/false"]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    idle = psutil.Process(int(parent.stdout.readline()))
    while not waits(idle):
        time.sleep(0.01)
    parent.communicate("")
    assert not psutil.wait_procs([idle], timeout=10)[1]
