"""A cell with an allocator of its own is measured in a process that has it, which ends when the worker or it is killed."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweeps.cell import own_process, starts
from sweeps.cell.message import Message, Place
from sweeps.cell.own_process import ProcessEndedError, RunElsewhere, end_own_process, run_until_told
from sweeps.cell.starts import start_columns
from sweeps.measure.device import allocators
from sweeps.measure.device.allocators import check_allocator, environment_of, lacks
from sweeps.plan.config import TrialConfig
from sweeps.plan.from_options import code_of_models
from sweeps.plan.measuring import MeasureConfig
from tests.sweeps.installed import install
from workloads.base import UnsupportedError

QUICK = MeasureConfig(min_rounds=2, min_s=0.02, max_s=0.1, round_s=0.01, warmup_max_s=0.02)
FACTS = {"timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": 1e9, "ceiling_flop_per_s": {"fp32": 2e9},
         "precision_notes": {"fp32": None}}  # fmt: skip
pytestmark = pytest.mark.skipif(lacks("kept") is not None, reason="no glibc")


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    source = Path(__file__).with_name("tiny.py").read_text()
    site = install(tmp_path_factory.mktemp("site"), "tiny:Tiny", source)
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    end_own_process()


def started(allocator: str) -> RunElsewhere:
    cell = TrialConfig(workload="tiny", device="cpu", batch_size=1, allocator=allocator, options={"does": "fine"})
    arguments: dict[str, Any] = {
        "cell": cell,
        "measure": QUICK,
        "n_threads": 1,
        "device_facts": FACTS,
        "place": Place(),
    }
    return RunElsewhere(environment_of(allocator), 1.0, **arguments)


def measured(allocator: str) -> dict[str, Any]:
    run = started(allocator)
    while not run.is_finished:
        run_until_told(run, 1.0)
    message: Message = run.take_message()
    run.close()
    assert message.is_final
    assert run.ended_well
    return message.row


def test_cells_of_one_allocator_share_a_process_that_has_it() -> None:
    has_other = importlib.util.find_spec("ray") and environment_of("jemalloc")
    other = measured("jemalloc") if has_other else None
    rows = [measured("kept") for _ in range(2)]
    assert {row["status"] for row in rows} == {"complete"}
    assert rows[0]["worker_pid"] == rows[1]["worker_pid"] != os.getpid()
    assert rows[0]["allocator_settings"] == "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184"
    assert rows[0]["allocator"] == "kept"
    if other is not None:
        assert (other["status"], other["worker_pid"] != rows[0]["worker_pid"]) == ("complete", True)
        assert "jemalloc" in other["allocator_settings"]
        assert not psutil.pid_exists(other["worker_pid"]), "one at a time: another's freed memory is in the way"


def test_a_process_that_is_killed_is_an_error_that_says_so_and_the_next_cell_has_a_new_one() -> None:
    run = started("kept")
    run._process._process.send_signal(signal.SIGKILL)
    with pytest.raises(ProcessEndedError, match="SIGKILL"):
        run.advance()
    run.close()
    assert measured("kept")["status"] == "complete"
    assert len(own_process._kept) == 1


def test_a_start_is_the_first_step_in_three_fresh_processes_and_what_fails_there_is_a_reason() -> None:
    cell = TrialConfig(workload="tiny", device="cpu", batch_size=1, options={"does": "fine"})
    columns = start_columns(cell, 1, {})
    assert set(columns) == {"start_cold_s", "start_warm_s", "start_loaded_s", "artefact_bytes"}
    assert all(columns[name] >= 0.001 for name in columns if name != "artefact_bytes"), "a step sleeps a millisecond"
    failing = dataclasses.replace(cell, options={"does": "fail in step"})
    assert start_columns(failing, 1, {}) == {"start_reason": "KeyError: 'no such thing'"}


def test_a_process_that_finds_no_such_file_starts_with_the_code_that_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    class Asked:
        def __init__(self, _variables: object) -> None: ...
        def end(self) -> None: ...
        def ask(self, _what: str, **arguments: Any) -> float:
            sent.append(arguments["code"])
            return 0.1

    monkeypatch.setattr(starts, "OwnProcess", Asked)
    (tmp_path / "net.py").write_text("def build(): ...\n")
    code = code_of_models([f"{tmp_path}/net.py:build"]).popitem()[1]
    plain = TrialConfig(workload="inference", device="cpu", batch_size=1, model="net.py:build")
    for cell in (plain, dataclasses.replace(plain, options={"code": code.digest})):
        start_columns(cell, 1, {})
    assert sent == [*[None] * 3, *[dataclasses.asdict(code)] * 3]


def test_what_the_machine_lacks_is_unsupported_and_a_process_without_it_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_allocator(None)
    with pytest.raises(RuntimeError, match="this process was started without it"):
        check_allocator("kept", {"MALLOC_MMAP_MAX_": "0"})
    check_allocator("kept", environment_of("kept"))
    monkeypatch.setattr(allocators, "_library", lambda _: None)
    assert environment_of("tcmalloc") == {}
    with pytest.raises(UnsupportedError, match=r"its library is not installed \(on Debian and Ubuntu: libtcmalloc"):
        check_allocator("tcmalloc")
    monkeypatch.setattr(allocators.platform, "libc_ver", lambda: ("", ""))
    with pytest.raises(UnsupportedError, match="does not have"):
        check_allocator("kept")
