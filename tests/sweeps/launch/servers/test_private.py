"""How Ray's servers start, with and without the private names by which that is changed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ray import _raylet
from ray._private import services

from sweeps.launch.servers import private
from sweeps.launch.servers.private import IDLE_AGENT, servers_for_cells

NODE = "ab" * 28
PORTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def test_servers_start_in_the_commands_group_where_it_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = services.ConsolePopen
    with servers_for_cells(Path("worker.py"), with_logs=False):
        assert services.ConsolePopen is not original
    assert services.ConsolePopen is original
    monkeypatch.delattr(services, "ConsolePopen")
    with servers_for_cells(Path("worker.py"), with_logs=False):
        assert not hasattr(services, "ConsolePopen")


def test_the_raylets_agents_wait_with_their_ports_told_and_without_the_names_they_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [
        f"--session_dir={tmp_path}",
        f"--node_id={NODE}",
        "--node_ip_address=127.0.0.1",
        "--runtime_env_agent_port=0",
    ]
    agents = [
        "--dashboard_agent_command=python a.py",
        "--runtime_env_agent_command=python b.py --runtime-env-agent-port=0",
    ]
    assert private._with_idle_agents(others) == others, "a server without agents"
    *same, dashboard, environments = private._with_idle_agents([*others, *agents])
    *unused, port = (int((tmp_path / f"{name}_{NODE}").read_text()) for name in PORTS)
    assert (same, unused) == (others, [-1, -1, -1])
    idle = f"{sys.executable} -I -S {IDLE_AGENT} 127.0.0.1"
    assert dashboard == f"--dashboard_agent_command={idle} 0 python a.py"
    assert environments == (f"--runtime_env_agent_command={idle} {port} python b.py --runtime-env-agent-port={port}")
    monkeypatch.delattr(_raylet, "persist_port")
    assert private._with_idle_agents([*others, *agents]) == [*others, *agents]
