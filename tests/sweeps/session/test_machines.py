"""What a sweep may run on: nodes that are left by the options, nodes asked for again, and what is said of them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from sweeps.commands import main
from sweeps.launch.ray_start import RayOptions
from sweeps.measure.device.device import available_devices
from sweeps.scheduling.nodes import Cluster
from sweeps.session.machines import Machines, introduce, machines_again
from tests.sweeps.scheduling.made import GPU, config_of, gpu_node, node
from workloads.base import BadInputError


def told_of(cluster: Cluster, **values: Any) -> list[str]:
    console = Console(file=io.StringIO(), width=300)
    introduce(console, config_of(cluster, **values), cluster)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def asked(**values: Any) -> SimpleNamespace:
    """The options that machines are chosen by."""
    return SimpleNamespace(**{"on_node": (), "accelerator_type": (), "resume": "s1", **values})


def test_without_a_cluster_it_is_this_machine() -> None:
    machines = Machines()
    assert machines.devices == available_devices()
    assert machines.devices[0] == "cpu"
    assert (machines.cluster, machines.kinds) == (None, None)


def test_the_nodes_that_the_options_leave_have_devices_and_kinds() -> None:
    cluster = Cluster([node("a"), gpu_node("b", 2), gpu_node("c", 1, "L4")])
    every = Machines.of(cluster, (), ())
    assert every.devices == ("cpu", GPU)
    assert every.kinds == {"cpu": ("EPYC (16 CPUs)",), GPU: ("H100", "L4")}
    one = Machines.of(cluster, (), ("L4",))
    assert one.cluster is not None
    assert list(one.cluster.nodes) == ["c" * 56]
    assert one.kinds == {"cpu": ("EPYC (16 CPUs)",), GPU: ("L4",)}
    assert Machines.of(cluster, ("host-a",), ()).devices == ("cpu",)


@pytest.mark.parametrize(
    ("on_node", "accelerator_type", "told"),
    [
        (("nowhere",), (), "--on-node: 'nowhere' is not a node of this cluster"),
        ((), ("B200",), "--accelerator-type: 'B200' is on no node of this cluster; available: H100"),
        (("host-a",), ("H100",), "--on-node, --accelerator-type: none of host-a has H100"),
    ],
)
def test_a_name_that_no_node_has_is_told_with_those_there_are(
    on_node: tuple[str, ...], accelerator_type: tuple[str, ...], told: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        Machines.of(Cluster([node("a"), gpu_node("b", 2)]), on_node, accelerator_type)
    assert told in str(refused.value)


def test_a_cluster_on_which_nothing_can_be_measured_is_told_with_each_nodes_reason() -> None:
    cluster = Cluster([node("a", problem="cannot import accelsweep"), node("b", resources={"CPU": 0.0}, devices={})])
    with pytest.raises(BadInputError) as refused:
        Machines.of(cluster, (), ())
    assert str(refused.value) == (
        "--address: nothing can be measured on this cluster: aaaaaaaa (host-a) cannot import accelsweep;"
        " bbbbbbbb (host-b) offers neither a CPU nor an accelerator"
    )


def test_a_sweep_goes_on_on_the_nodes_that_it_was_asked_for_unless_others_are_named() -> None:
    cluster = Cluster([node("a"), gpu_node("b", 2)])
    config = config_of(cluster, on_node=("host-b",))
    kept = machines_again(config, asked(), cluster)
    assert kept.cluster is not None
    assert list(kept.cluster.nodes) == ["b" * 56]
    now = machines_again(config, asked(on_node=("host-a",)), cluster)
    assert now.cluster is not None
    assert list(now.cluster.nodes) == ["a" * 56]


def test_a_sweep_of_a_cluster_does_not_go_on_without_one() -> None:
    cluster = Cluster([node("a"), gpu_node("b", 2)])
    for bound in (config_of(cluster, each=True), config_of(cluster, on_node=("host-a",))):
        with pytest.raises(BadInputError, match=r"--resume: 's1' belongs to nodes of a cluster; give its --address"):
            machines_again(bound, asked(), None)
    assert machines_again(config_of(cluster), asked(), None).cluster is None


def test_nodes_are_introduced_with_what_is_left_out_and_what_follows_from_their_kinds() -> None:
    cluster = Cluster([node("a", problem="did not answer within 90 s"), gpu_node("b", 2), gpu_node("c", 1, "L4")])
    lines = told_of(cluster)
    assert lines[:3] == [
        "node aaaaaaaa (host-a) is left out: it did not answer within 90 s",
        "node bbbbbbbb (host-b): cpu, 2 x gpu; EPYC (16 CPUs), H100",
        "node cccccccc (host-c): cpu, gpu; EPYC (16 CPUs), L4",
    ]
    assert lines[3:] == [
        "gpu comes in 2 kinds here (H100; L4), and a cell runs on whichever is free; --each-node runs every cell on each,"
        " --on-node and --accelerator-type select"
    ]
    assert len(told_of(cluster, each=True)) == 3, "where every cell runs on each kind, there is nothing to warn of"


def test_the_nodes_of_a_cluster_are_listed_with_devices_kinds_versions_and_what_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("a", problem="did not answer within 90 s"), gpu_node("b", 2), node("c", versions={"torch": "2.15"})]
    joined: list[RayOptions] = []

    @contextlib.contextmanager
    def session(options: RayOptions) -> Iterator[Cluster]:
        joined.append(options)
        yield Cluster(nodes)

    monkeypatch.setattr("sweeps.launch.ray_session.cluster_session", session)
    assert main(["nodes", "--address", "10.0.0.1:6379"]) == 0
    assert [options.address for options in joined] == ["10.0.0.1:6379"]
    *lines, differs = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{'a' * 56}  host-a  10.0.0.1", "  left out: it did not answer within 90 s",
        f"{'b' * 56}  host-b  10.0.0.2", "  1 x cpu: EPYC (16 CPUs)", "  2 x gpu: H100", "  torch 2.14",
        f"{'c' * 56}  host-c  10.0.0.3", "  1 x cpu: EPYC (16 CPUs)", "  torch 2.15",
    ]  # fmt: skip
    assert differs.startswith("nodes differ in torch: 2.14 on bbbbbbbb (host-b); 2.15 on cccccccc (host-c)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--on-node", "a"), "--on-node: is for a cluster; give its --address, HOST:PORT or auto"),
        (("--accelerator-type", "H100"), "--accelerator-type: is for a cluster"),
        (("--each-node",), "--each-node: is for a cluster"),
        (("--node-timeout", "soon"), "--node-timeout: 'soon'"),
    ],
)
def test_options_of_a_cluster_need_one(
    arguments: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image-processing", *arguments, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
