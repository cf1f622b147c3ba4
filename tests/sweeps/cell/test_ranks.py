"""The first process drives the others: they do what it does, tell what they are asked for, and are missed when gone."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sweeps.cell.follower import Follower, facts_of
from sweeps.cell.message import Place
from sweeps.cell.outcome import Outcome
from sweeps.cell.ranks import RankLostError, Ranks
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from tests.sweeps.installed import install
from workloads.base import CellContext
from workloads.runtime.group import Group
from workloads.scenarios import Sending

CPU = torch.device("cpu")
Told = list[Outcome | None]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    source = Path(__file__).with_name("tiny.py").read_text()
    monkeypatch.syspath_prepend(install(tmp_path / "site", "tiny:Tiny", source))
    monkeypatch.delitem(importlib.sys.modules, "tiny", raising=False)
    module = importlib.import_module("tiny")
    monkeypatch.setattr(module.Tiny, "together", ("step", "restart"), raising=False)
    return module


@pytest.fixture
def ended() -> Told:
    return []


@pytest.fixture
def ranks(tiny: ModuleType, ended: Told, request: pytest.FixtureRequest) -> Iterator[Ranks]:
    """The first of two processes, whose other one is a thread here."""
    mine, theirs = Pipe()
    cell = TrialConfig(workload="tiny", device="cpu", batch_size=3, n_devices=2,
                       options={"does": getattr(request, "param", "fine")})  # fmt: skip
    follower = Follower(
        cell, measure=MeasureConfig(n_compared=4), n_threads=torch.get_num_threads(), group=Group(rank=1, size=2), link=theirs,
        place=Place(node_id="n", device_index="1"),
    )  # fmt: skip

    def follow() -> None:
        ended.append(follower.run())
        theirs.close()

    thread = threading.Thread(target=follow)
    thread.start()
    found = Ranks(Group(rank=0, size=2), [mine])
    yield found
    found.end()
    mine.close()
    thread.join(20)
    assert not thread.is_alive()
    assert follower.n_done <= found.n_done, "one that heeds all words is never ahead, nor seen as behind"


def led(ranks: Ranks, tiny: ModuleType):
    """The first process's workload, set up in both."""
    columns = ranks.open(3, facts_of(CPU, Place(node_id="n", device_index="0")))
    assert columns == {"global_batch_size": 6, "device_index": "0,1", "device_link": None, "idle_power_w": None}
    workload = ranks.lead(tiny.Tiny(CellContext(device=CPU, batch_size=3, options=tiny.TinyOptions(does=("fine",)))))
    workload.setup()
    ranks.memory({})  # whose answer says that the other is set up as well
    return workload


def test_what_is_called_here_is_called_there(ranks: Ranks, tiny: ModuleType, ended: Told) -> None:
    workload = led(ranks, tiny)
    workload.restart()
    workload.step()
    ranks.own(workload.step)()
    workload.end_round(0)
    assert ranks.memory({"peak_rss_bytes": 1, "device_peak_allocated_bytes": None})["peak_rss_bytes"] > 1
    serve = ranks.shared(Sending()).others
    assert [each() for each in serve] == [True]
    assert tiny.called.count("restart") == 2
    assert tiny.called.count("end_round") == 1
    assert workload.n_steps == 2
    assert ranks.n_done == 6, "opened, set up, twice asked for memory, restarted, stepped"
    with ranks.conditions(CPU) as conditions:
        assert conditions.columns()["other_load_ratio"] is None, "so soon"


def test_the_timer_waits_for_all_unless_the_steps_are_tied(ranks: Ranks, tiny: ModuleType) -> None:
    workload = led(ranks, tiny)
    before = ranks.n_done
    assert ranks.timer(CPU, workload).time(workload.step) >= 0.001
    assert ranks.n_done > before + 2
    workload.steps_per_round = 3
    before = ranks.n_done
    ranks.timer(CPU, workload)
    assert ranks.n_done == before


@pytest.mark.parametrize(
    ("ranks", "status"),
    [("fail in step", "error"), ("fill memory in step", "oom"), ("lack in step", "unsupported")],
    indirect=["ranks"],
)
def test_one_that_fails_says_why_to_whoever_started_it_and_is_missed(
    ranks: Ranks, tiny: ModuleType, ended: Told, status: str
) -> None:
    workload = led(ranks, tiny)
    workload.step()
    with pytest.raises(RankLostError, match="process 1 of 2 does not answer"):
        ranks.memory({})
    (outcome,) = ended
    assert outcome is not None
    assert outcome.status == status


def test_a_cell_of_one_process_asks_nobody(tiny: ModuleType) -> None:
    alone = Ranks()
    workload = tiny.Tiny(CellContext(device=CPU, batch_size=3, options=tiny.TinyOptions()))
    assert alone.lead(workload) is workload
    assert "step" not in vars(workload)
    assert alone.open(3, {}) == {"global_batch_size": 3}
    assert alone.memory({"peak_rss_bytes": 7}) == {"peak_rss_bytes": 7}
    assert alone.shared(Sending()) == Sending()
    assert alone.own(workload.step) == workload.step
    alone.end()
