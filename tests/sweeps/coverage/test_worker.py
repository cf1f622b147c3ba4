"""Real child processes that work, abort, and hang in C code while they hold Python's lock."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from sweeps.coverage.plan import OperationCell
from sweeps.coverage.worker import CellWorker

RELU = [{"args": {"tuple": [{"tensor": [2, 3], "dtype": "float32"}]}, "kwargs": {"dict": {}}}]
NOTHING = [{"args": {"tuple": []}, "kwargs": {"dict": {}}}]
HUGE = [{"args": {"tuple": [10**9]}, "kwargs": {"dict": {}}}]


def cell(operation: str) -> OperationCell:
    return OperationCell(source="modules", operation=operation, family="tests", dtype="fp32", device="cpu")


@pytest.fixture(scope="module")
def worker() -> Iterator[CellWorker]:
    made = CellWorker({}, max_samples=32, timeout_s=20.0)
    yield made
    made.close()


def test_a_cell_that_works_gives_a_row_per_direction(worker: CellWorker) -> None:
    rows = worker.run(cell("torch.relu"), RELU)
    assert [(r["direction"], r["verdict"]) for r in rows] == [("forward", "supported"), ("backward", "supported")]
    assert {r["operation_key"] for r in rows} == {cell("torch.relu").key}
    assert psutil.pid_exists(rows[0]["worker_pid"])


def test_an_abort_costs_its_own_cell_and_the_next_one_has_a_new_process(worker: CellWorker) -> None:
    before = worker.run(cell("torch.relu"), RELU)[0]["worker_pid"]
    rows = worker.run(cell("torch.os.abort"), NOTHING)
    assert [(r["direction"], r["verdict"]) for r in rows] == [("forward", "crashed")]
    assert rows[0]["reason"].startswith("SIGABRT")
    again = worker.run(cell("torch.relu"), RELU)[0]
    assert again["verdict"] == "supported"
    assert again["worker_pid"] != before


def test_timing_gives_growing_sizes(worker: CellWorker) -> None:
    columns = worker.time(cell("torch.relu"), RELU)
    assert columns["timing_elements"] == sorted(columns["timing_elements"])
    assert len(columns["timing_device_s"]) == len(columns["timing_elements"]) >= 3
    assert columns["timing_cpu_s"] is None


def test_an_operation_that_this_torch_lacks_is_unsupported(worker: CellWorker) -> None:
    rows = worker.run(cell("torch.no_such_function"), RELU)
    assert rows[0]["verdict"] == "unsupported"
    assert "lacks torch.no_such_function" in rows[0]["reason"]


def test_a_hang_in_c_code_is_killed_at_the_deadline(worker: CellWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    first = worker.run(cell("torch.relu"), RELU)[0]
    monkeypatch.setattr(worker, "_timeout_s", 1.0)  # of a child that runs: a new one takes seconds to start
    began = time.monotonic()
    assert first["verdict"] == "supported"
    rows = worker.run(cell("torch.math.factorial"), HUGE)
    assert (rows[0]["verdict"], rows[0]["reason"]) == ("timeout", "over 1 s")
    assert time.monotonic() - began < 8
    assert not psutil.pid_exists(first["worker_pid"])
