"""How a cluster's nodes are read and joined, on nodes described by hand; no Ray is started."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from sweeps.launch import cluster
from sweeps.launch.cluster import NODE_ID, NodeProbe, join, label_selector, local_cluster, read_nodes
from sweeps.scheduling.nodes import Pool
from workloads.base import BadInputError

HERE = "b" * 56


def raw(letter: str, *, alive: bool = True, labels: dict[str, str] | None = None, **resources: float) -> dict[str, Any]:
    """A node as ``ray.nodes()`` describes it."""
    return {"NodeID": letter * 56, "Alive": alive, "NodeManagerHostname": f"host-{letter}", "Labels": labels,
            "NodeManagerAddress": f"10.0.0.{ord(letter) - 96}", "Resources": {"CPU": 8.0, **resources}}  # fmt: skip


class Remote:
    """A probe's method, as Ray calls it: what it returns is made when it is asked for."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method

    def remote(self, *arguments: Any) -> Callable[[], Any]:
        return lambda: self.method(*arguments)


class StandIn:
    """Ray with probes in this process; some nodes answer with an error.

    Attributes:
        on: The node of each probe.
        asked_for_accelerator: What each probe was told.
        killed: How many probes were ended.
    """

    def __init__(self, nodes: list[dict[str, Any]], failing: dict[str, Exception], late_s: float = 0.0) -> None:
        self.nodes, self.failing, self.late_s = nodes, failing, late_s
        self.on: list[str] = []
        self.asked: list[bool] = []
        self.killed = 0

    def options(self, *, num_cpus: int, max_restarts: int, scheduling_strategy: Any) -> SimpleNamespace:
        assert (num_cpus, max_restarts, scheduling_strategy.soft) == (0, 0, False)
        return SimpleNamespace(remote=lambda: self.probe(scheduling_strategy.node_id))

    def probe(self, node_id: str) -> SimpleNamespace:
        self.on.append(node_id)

        def describe(may_have_accelerator: bool) -> dict[str, Any]:
            self.asked.append(may_have_accelerator)
            if node_id in self.failing:
                raise self.failing[node_id]
            told = NodeProbe().describe(False)
            return {**told, "accelerator": "gpu" if may_have_accelerator else None}

        return SimpleNamespace(describe=Remote(describe), clock=Remote(lambda: time.time() + self.late_s))

    def kill(self, probe: Any) -> None:
        self.killed += 1


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., StandIn]:
    def put(*nodes: dict[str, Any], failing: dict[str, Exception] | None = None, late_s: float = 0.0) -> StandIn:
        made = StandIn(list(nodes), failing or {}, late_s)
        monkeypatch.setattr(ray, "nodes", lambda: made.nodes)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: HERE))
        monkeypatch.setattr(ray, "remote", lambda kind: made)
        monkeypatch.setattr(ray, "get", lambda answer, timeout: answer())
        monkeypatch.setattr(ray, "kill", made.kill)
        return made

    return put


def test_nodes_that_live_are_read_the_one_we_are_on_first(stand_in: Callable[..., StandIn]) -> None:
    made = stand_in(
        raw("c", GPU=2.0, **{"accelerator_type:L4": 1.0}), raw("d", alive=False), raw("a", accelsweep_cpu=2.0), raw("b")
    )
    nodes = read_nodes()
    assert [node.node_id[0] for node in nodes] == ["b", "a", "c"]
    assert [node.name for node in nodes] == ["bbbbbbbb (host-b)", "aaaaaaaa (host-a)", "cccccccc (host-c)"]
    assert [dict(node.devices) for node in nodes] == [{"cpu": 1}, {"cpu": 2}, {"cpu": 1, "gpu": 2}]
    assert [node.accelerator_type for node in nodes] == [None, None, "L4"]
    assert nodes[2].ip == "10.0.0.3"
    assert {node.cpu_name for node in nodes} == {NodeProbe().describe(False)["cpu_name"]}
    assert set(nodes[0].versions) >= {"python", "torch"}
    assert all(node.problem is None for node in nodes)
    assert made.on == [node.node_id for node in nodes], "each probe on its own node"
    assert made.asked == [False, False, True], "torch is imported only where Ray counts an accelerator"
    assert made.killed == 3


def test_a_devices_own_resource_counts_as_an_accelerator_and_a_label_names_its_type(
    stand_in: Callable[..., StandIn],
) -> None:
    made = stand_in(raw("b", accelsweep_apple=1.0, labels={"ray.io/accelerator-type": "M4"}))
    (node,) = read_nodes()
    assert dict(node.devices) == {"cpu": 1, "apple": 1}
    assert node.accelerator_type == "M4"
    assert made.asked == [True]


def test_a_clock_that_is_ahead_is_told_by_how_much(stand_in: Callable[..., StandIn]) -> None:
    stand_in(raw("b"), late_s=30.0)
    (node,) = read_nodes()
    assert node.clock_offset_s == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (ray.exceptions.GetTimeoutError("late"), "did not answer within 90 s"),
        (ray.exceptions.RayError("trace\n  more\nNo module named 'sweeps'\n"),
         "cannot import accelsweep (No module named 'sweeps'); install it there as on this machine"),
        (ImportError(), "cannot import accelsweep (ImportError); install it there as on this machine"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_say_what_it_is_has_a_problem_and_the_others_none(
    stand_in: Callable[..., StandIn], error: Exception, problem: str
) -> None:
    made = stand_in(raw("a"), raw("b"), failing={"a" * 56: error})
    here, there = read_nodes()
    assert (here.problem, there.problem) == (None, problem)
    assert (there.node_id, there.host, dict(there.devices)) == ("a" * 56, "host-a", {})
    assert made.killed == 2


def test_the_node_of_this_process_has_the_devices_that_it_was_told(stand_in: Callable[..., StandIn]) -> None:
    stand_in(raw("a"), raw("b", GPU=1.0))
    found = local_cluster({"cpu": 1, "gpu": 1})
    assert list(found.nodes) == [HERE]
    assert found.devices == ("cpu", "gpu")
    assert found.nodes[HERE].needs("gpu") == {"CPU": 8, "GPU": 1}


def test_a_trial_is_bound_to_its_node_or_to_one_of_them() -> None:
    one = Pool(bundles=(), n_cpus=1, node_ids=("x",), n_slots=1)
    several = Pool(bundles=(), n_cpus=1, node_ids=("x", "y"), n_slots=2)
    assert label_selector(one) == {NODE_ID: "x"}
    assert label_selector(several) == {NODE_ID: "in(x, y)"}


def test_an_address_at_which_no_cluster_can_be_is_refused_before_ray_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.ray, "init", lambda **_: pytest.fail("Ray would wait for minutes"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        silent = f"127.0.0.1:{taken.getsockname()[1]}"
        for address, told in (
            ("ray://head:10001", "'ray://head:10001' is an address of Ray's client; run this on a node of the cluster"),
            ("head", "'head' is not a Ray cluster (it has no port); allowed: HOST:PORT or auto"),
            (silent, f"'{silent}' is not a Ray cluster (nothing answers there:"),
        ):
            with pytest.raises(BadInputError) as refused:
                join(address, {})
            assert f"--address: {told}" in str(refused.value)


def test_a_cluster_that_does_not_let_us_in_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: Any) -> None:
        assert options == {"address": "auto", "namespace": "x"}
        raise ConnectionError("invalid\n token")

    left: list[bool] = []
    monkeypatch.setattr(cluster.ray, "init", refuse)
    monkeypatch.setattr(cluster.ray, "shutdown", lambda: left.append(True))
    with pytest.raises(BadInputError, match=r"cannot join a cluster at 'auto'.*RAY_AUTH_MODE=token.*\(invalid token\)"):
        join("auto", {"namespace": "x"})
    assert left == [True]
