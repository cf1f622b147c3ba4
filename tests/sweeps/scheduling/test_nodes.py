"""Which nodes take which cells, and what becomes of a cell whose node is lost; no Ray is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.cell.message import Message, Place
from sweeps.choosing.chooser import WAIT, Chooser
from sweeps.plan.config import SweepConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.nodes import Cluster, accelerator_type_of, chosen, devices_of
from sweeps.scheduling.placement import Placement
from sweeps.store.store import ResultStore
from tests.sweeps.scheduling.made import GPU, config_of, gpu_node, node
from workloads.base import BadInputError


def test_a_nodes_devices_are_what_ray_counts_there() -> None:
    assert devices_of({"CPU": 8.0, "memory": 1e9}, None) == {"cpu": 1}
    assert devices_of({"CPU": 8.0, "GPU": 4.0}, GPU) == {"cpu": 1, GPU: 4}
    assert devices_of({"CPU": 8.0, "GPU": 4.0}, None) == {"cpu": 1}, "torch finds none there"
    assert devices_of({"CPU": 8.0, "accelsweep_apple": 1.0}, None) == {"cpu": 1, "apple": 1}
    assert devices_of({"CPU": 8.0, "accelsweep_cpu": 2.0}, None) == {"cpu": 2}
    assert devices_of({"CPU": 0.0}, None) == {}, "a head that gives no CPUs measures nothing"
    assert accelerator_type_of({"accelerator_type:H100": 1.0}, {}) == "H100"
    assert accelerator_type_of({}, {"ray.io/accelerator-type": "B200"}) == "B200"
    assert accelerator_type_of({"CPU": 1.0}, {}) is None


def test_a_cpu_trial_owns_its_node_and_an_accelerator_trial_its_share() -> None:
    four = gpu_node("a", 4)
    assert four.needs("cpu") == {"CPU": 16}
    assert four.needs(GPU) == {"CPU": 4, "GPU": 1}
    apple = node("b", resources={"CPU": 8.0, "accelsweep_apple": 1.0}, devices={"cpu": 1, "apple": 1})
    assert apple.needs("apple") == {"CPU": 8, "accelsweep_apple": 1}
    both = node("c", resources={"CPU": 8.0, "GPU": 2.0, f"accelsweep_{GPU}": 2.0}, devices={"cpu": 1, GPU: 2})
    assert both.needs(GPU) == {"CPU": 4, "GPU": 1, f"accelsweep_{GPU}": 1}


def test_each_of_four_accelerators_of_one_host_runs_a_trial_and_one_more_waits() -> None:
    cluster = Cluster([gpu_node("a", 4)])
    placement = Placement(cluster, config_of(cluster, device=(GPU,)))
    (cell, *_) = config_of(cluster, device=(GPU,)).cells()
    assert placement.n_concurrent == 5
    placed = [placement.place(f"t{i}", cell) for i in range(5) if placement.has_room(cell)]
    assert [pool.needs for pool in placed if pool] == [{"CPU": 4, "GPU": 1}] * 5
    assert not placement.has_room(cell)
    placement.release("t2")
    assert placement.has_room(cell)


def test_equal_nodes_are_one_pool_and_others_get_cells_by_their_room() -> None:
    cluster = Cluster([gpu_node("a", 2), gpu_node("b", 2), gpu_node("c", 1, "L4", n_cpus=4)])
    config = config_of(cluster, device=(GPU,))
    placement = Placement(cluster, config)
    (cell, *_) = config.cells()
    pools = placement.pools(cell)
    assert [(len(pool.node_ids), pool.n_slots) for pool in pools] == [(2, 4), (1, 1)]
    placed = [placement.place(f"t{i}", cell) for i in range(5)]
    assert [placed.count(pool) for pool in pools] == [4, 1]


def test_each_kind_of_node_is_an_axis_of_its_device() -> None:
    cluster = Cluster([gpu_node("a", 1), gpu_node("b", 1, "L4"), node("c", resources={"CPU": 64.0})])
    cells = config_of(cluster, each=True).cells()
    assert {(cell.device, cell.node) for cell in cells} == {
        ("cpu", "EPYC (16 CPUs)"), ("cpu", "EPYC (64 CPUs)"), (GPU, "H100"), (GPU, "L4"),
    }  # fmt: skip
    assert len(cells) == 8 == len({cell.key for cell in cells})
    assert [cell.node for cell in cells if cell.device == GPU] == ["H100", "L4"] * 2, "kinds take turns"
    config = config_of(cluster, each=True)
    assert SweepConfig.from_dict(config.as_dict()) == config
    placement = Placement(cluster, config)
    for cell in cells:
        for pool in placement.pools(cell):
            assert {cluster.nodes[node_id].kind(cell.device) for node_id in pool.node_ids} == {cell.node}


def test_nodes_are_named_by_id_host_or_address() -> None:
    nodes = [gpu_node("a", 1), gpu_node("b", 1, "L4"), node("c")]
    for name in ("aaaaaaaa", "a" * 56, "host-a", "10.0.0.1"):
        assert chosen(nodes, [name], []) == nodes[:1]
    assert chosen(nodes, [], ["L4", "H100"]) == nodes[:2]
    for names, types, told in (
        (["host-z"], [], r"--on-node: 'host-z' .* aaaaaaaa \(host-a\), bbbbbbbb \(host-b\)"),
        (["aaa"], [], "--on-node: 'aaa'"),
        ([], ["A100"], "--accelerator-type: 'A100' .* available: H100, L4"),
        (["host-c"], ["L4"], "none of host-c has L4"),
    ):
        with pytest.raises(BadInputError, match=told):
            chosen(nodes, names, types)


def test_what_differs_between_nodes_is_told() -> None:
    nodes = [node("a"), node("b", versions={"torch": "2.11"}, clock_offset_s=-3.0), node("c", problem="is mute")]
    assert Cluster(nodes).differences() == [
        "nodes differ in torch: 2.14 on aaaaaaaa (host-a); 2.11 on bbbbbbbb (host-b)",
        "the clock of bbbbbbbb (host-b) is 3.00 s behind this machine's; durations do not depend on it",
    ]
    assert Cluster([node("a"), node("b")]).differences() == []
    assert "c" * 56 not in Cluster(nodes).nodes


class Watch:
    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def books(folder: Path, cluster: Cluster, config: SweepConfig) -> tuple[Ledger, Placement, ResultStore]:
    cells = config.cells()
    store = ResultStore.create(folder / "s", config, cells, ["accelsweep"])
    ledger = Ledger(config, cells, store, Chooser(cells), Watch())
    ledger.node_columns = {node_id: {"clock_offset_s": 0.5} for node_id in cluster.nodes}
    return ledger, Placement(cluster, config), store


def test_a_cell_is_run_again_once_when_its_node_is_lost(tmp_path: Path) -> None:
    cluster = Cluster([node("a"), node("b")])
    config = config_of(cluster, batch_size=(1,))
    ledger, placement, store = books(tmp_path, cluster, config)
    (cell,) = config.cells()
    assert ledger.hand_out("t1", placement.has_room, placement.look_ahead) == cell
    assert ledger.waiting() == ["t1"]
    ledger.start("t1")
    ledger.receive("t1", Message(trial_key=cell.key, row={}, place=Place(node_id="a" * 56)))
    assert ledger.node_of("t1") == "a" * 56
    assert ledger.hand_out("t2") is WAIT, "the one that runs may come back"
    assert ledger.requeue("t1", is_lost=True)
    assert ledger.hand_out("t2", placement.has_room, placement.look_ahead) == cell
    assert not ledger.requeue("t2", is_lost=True)
    ledger.close("t2", error="node has died", reason="its node was lost for the second time")
    assert [(r["status"], r["status_reason"]) for r in store.rows()] == [
        ("crashed", "its node was lost for the second time")
    ]
    assert ledger.hand_out("t3") is None


def test_a_row_has_the_columns_of_the_node_that_measured_it(tmp_path: Path) -> None:
    cluster = Cluster([node("a")])
    config = config_of(cluster, batch_size=(1,))
    ledger, _, store = books(tmp_path, cluster, config)
    (cell,) = config.cells()
    ledger.hand_out("t")
    row = {"status": "complete", "node_id": "a" * 56}
    ledger.receive("t", Message(trial_key=cell.key, row=row, is_final=True, device_facts={"x": 1},
                                place=Place(node_id="a" * 56, device_index="3")))  # fmt: skip
    assert [r["clock_offset_s"] for r in store.rows()] == [0.5]
    assert ledger.device_facts == {"cpu": {Place(node_id="a" * 56, device_index="3").key: {"x": 1}}}


def test_a_cell_that_no_node_can_take_ends_as_a_row_with_the_reason(tmp_path: Path) -> None:
    cluster = Cluster([gpu_node("a", 1), node("b")])
    config = config_of(cluster, each=True, batch_size=(1,), device=(GPU,))
    ledger, placement, store = books(tmp_path, cluster, config)
    elsewhere = Placement(Cluster([node("b")]), config)
    cell = ledger.hand_out("t", elsewhere.has_room)
    assert cell is not WAIT
    assert cell is not None
    assert elsewhere.place("t", cell) is None
    assert elsewhere.why_none(cell) == ("unsupported", f"no node of the cluster has {GPU}")
    assert placement.place("t", cell) is not None
    assert placement.lose("a" * 56) is not None
    assert placement.lose("a" * 56) is None, "once"
    assert placement.pools(cell) == []
    status, reason = placement.why_none(cell)
    assert (status, reason) == ("crashed", "the nodes that could run it were lost: aaaaaaaa (host-a)")
    ledger.give_up("t", status, reason)
    assert [(r["status"], r["status_reason"]) for r in store.rows()] == [(status, reason)]


def test_one_kind_of_node_does_not_wait_for_another(tmp_path: Path) -> None:
    slow, fast = node("a"), node("b", resources={"CPU": 64.0})
    cluster = Cluster([slow, fast])
    config = config_of(cluster, each=True, batch_size=(1, 2, 4, 8))
    ledger, placement, _ = books(tmp_path, cluster, config)
    handed: list[str | None] = []
    for i in range(20):
        cell = ledger.hand_out(f"t{i}", placement.has_room, placement.look_ahead)
        if cell is WAIT or cell is None:
            break
        placement.place(f"t{i}", cell)
        handed.append(cell.node)
        if cell.node == fast.kind("cpu"):  # it ends at once, and the slow one never
            placement.release(f"t{i}")
            ledger.give_up(f"t{i}", "error", "made up")
    assert handed.count(fast.kind("cpu")) == 4
    assert handed.count(slow.kind("cpu")) == 2, "one runs, one waits"


def test_a_search_is_not_asked_ahead_of_what_it_learns(tmp_path: Path) -> None:
    cluster = Cluster([node("a"), node("b", resources={"CPU": 64.0})])
    config = config_of(cluster, is_batch_auto=True)
    assert Placement(cluster, config).look_ahead == Placement(cluster, config).n_concurrent == 4
    assert Placement(cluster, config_of(cluster)).look_ahead > 1000


@pytest.mark.parametrize("option", [["--on-node", "a"], ["--accelerator-type", "H100"], ["--each-node"]])
def test_options_for_a_cluster_need_one(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main

    assert main(["inference", *option]) == 2
    assert "--address" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:1", "ray://head:10001", "127.0.0.1:port"])
def test_an_address_where_no_cluster_is_is_told_at_once(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main

    assert main(["nodes", "--address", address]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert repr(address) in error
