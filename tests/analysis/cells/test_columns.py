"""Threads and allocators tell cells apart on the page wherever they vary, and old rows have the default ones."""

from __future__ import annotations

import pytest

from analysis.read.sweep import load_sweep
from analysis.recommendation.page import write_report
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")


def test_threads_and_allocators_name_cells_where_they_vary(write_sweep: Write) -> None:
    rows = [
        row(2 * n + i, threads=threads, allocator=allocator, step_median_s=step)
        for n, threads in enumerate((1, 2)) for i, (allocator, step) in enumerate(((None, 0.2 / threads), ("kept", 0.1 / threads)))
    ]  # fmt: skip
    folder = write_sweep(rows)
    text = write_report(folder).read_text()
    assert "kept" in text.split("\n## ")[0], "the answer names it"
    cells = text.split("Every cell measured")[1].split("\n## ")[0]
    head = next(line for line in cells.splitlines() if line.startswith("| "))
    assert "| allocator |" in head
    assert "| threads |" in head
    lines = [line for line in cells.splitlines() if " default " in line or " kept " in line]
    assert len(lines) == 4


def test_old_rows_have_the_default_and_do_not_tell_it(write_sweep: Write) -> None:
    folder = write_sweep([row(), row(1, batch_size=16)])
    assert set(load_sweep(folder)["allocator"]) == {"default"}
    assert "allocator" not in write_report(folder).read_text().split("## Every cell")[1].split("## The grid")[0]
