"""The private names of how Ray starts its servers: each may go with any release, and with it what is said here."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.launch.ray_private import replaced

_TOO_MUCH = ("start_api_server", "start_monitor", "start_log_monitor")
"""What starts servers that no cell needs: dashboard, autoscaler and workers' logs. Each is a Python process that
imports for a second of a core, and that the end awaits."""
_WORKER_COMMAND, _N_AHEAD = "--python_worker_command=", "--num_prestart_python_workers="
_WORKER_SCRIPT = "default_worker.py"
_ITS_PORT = "--runtime-env-agent-port="
IDLE_AGENT = Path(__file__).with_name("idle_agent.py")


@contextlib.contextmanager
def servers_for_cells(worker: Path, *, with_logs: bool) -> Iterator[None]:
    """Of Ray's servers start those that cells need, in a process group of their own, and one worker with them.

    ``timeout``, a closing terminal and service managers signal a command's whole group. The servers would end before
    the driver, which needs them to end its sweep in order. (Linux alone: it ends them with the driver whatever happens,
    where Ray elsewhere finds them by their group.)

    Without the names: what signals the command's whole group ends them before the driver, and the sweep ends early;
    starting takes seconds longer, for all servers start, and a worker imports torch when its first cell comes.

    Args:
        worker: The script of workers, which runs the script that its first argument names: Ray's own.
        with_logs: Also start what brings the workers' output to the driver.
    """
    try:
        from ray._private import node, services

        original = services.ConsolePopen
    except (ImportError, AttributeError):
        yield
        return
    is_linux = sys.platform == "linux"

    def popen(command: Any, *arguments: Any, **options: Any) -> Any:
        more = {"process_group": 0} if is_linux else {}
        return original(_with_idle_agents(_with_worker(command, worker)), *arguments, **options, **more)

    with contextlib.ExitStack() as undo:
        undo.enter_context(replaced(services, "ConsolePopen", popen))
        for name in _TOO_MUCH:
            if not (with_logs and name == "start_log_monitor"):
                undo.enter_context(replaced(node.Node, name, _start_none))
        yield


def _start_none(node: Any, **_: Any) -> None:
    node._webui_url = ""  # of the dashboard, which Ray tells its workers


def _with_worker(command: Any, worker: Path) -> Any:
    """The raylet's command with our script of workers, of which one is started ahead; any other as it is."""
    ours = [
        re.sub(rf"\S*{_WORKER_SCRIPT}", lambda found: f"{worker} {found[0]}", word, count=1)
        if word.startswith(_WORKER_COMMAND) and " " not in str(worker) else word
        for word in command
    ]  # fmt: skip
    if ours == list(command):
        return command
    return [f"{_N_AHEAD}1" if word.startswith(_N_AHEAD) else word for word in ours]


def _with_idle_agents(command: Any) -> Any:
    """The raylet's command with processes that wait in place of its agents; any other as it is.

    The raylet is up when its agents have told their ports, which is told here: that the dashboard's has none, and where
    the one of environments will be if somebody asks for one.

    Without the names: the raylet waits for its agents, each a Python process that imports for half a second of a core.
    """
    told = dict(word.removeprefix("--").partition("=")[::2] for word in command)
    if "dashboard_agent_command" not in told:
        return command
    try:
        from ray import _raylet

        folder, node_id, host = told["session_dir"], told["node_id"], told["node_ip_address"]
        with socket.create_server((host, 0)) as free:
            port = free.getsockname()[1]
        for name in ("METRICS_AGENT", "METRICS_EXPORT", "DASHBOARD_AGENT_LISTEN"):
            _raylet.persist_port(folder, node_id, getattr(_raylet, f"{name}_PORT_NAME"), -1)
        _raylet.persist_port(folder, node_id, _raylet.RUNTIME_ENV_AGENT_PORT_NAME, port)
    except (ImportError, AttributeError, KeyError, OSError):
        return command
    idle = subprocess.list2cmdline([sys.executable, "-I", "-S", str(IDLE_AGENT), host])
    ports = {"--dashboard_agent_command": 0, "--runtime_env_agent_command": port}

    def waiting(word: str) -> str:
        option, _, agent = word.partition("=")
        if option not in ports:
            return word
        return f"{option}={idle} {ports[option]} {agent.replace(f'{_ITS_PORT}0', f'{_ITS_PORT}{port}')}"

    return [waiting(word) for word in command]
