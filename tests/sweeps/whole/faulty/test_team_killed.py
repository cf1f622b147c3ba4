"""A training by two processes, started as a user starts it: the death of one is one row, and no process is left."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.sweeps.whole.driving import start, wait_for_rows

ASKED = ("finetune", "--device", "cpu", "--n-devices", "2", "--model", "squeezenet1_1", "--image-size", "64", "--batch-size", "16",
         "--precision", "fp32", "--learning-rate", "0.001", "0.002", "--max-train-s", "1", "--pruner", "none",
         "--no-recheck", "--no-report")  # fmt: skip


def all_of(driver: int) -> list[psutil.Process]:
    return [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]


def second_of_two(driver: int) -> psutil.Process:
    """The process that follows the first, once it does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in all_of(driver):
            if "".join(process.cmdline()).rstrip().endswith("Rank.follow"):
                return process
        time.sleep(0.02)
    raise AssertionError("no process follows another")


@pytest.mark.slow
@pytest.mark.skipif((psutil.cpu_count() or 1) < 2, reason="a process needs a CPU of its own")
def test_the_death_of_one_process_of_a_training_is_one_row_and_the_cell_before_it_is_whole(tmp_path: Path) -> None:
    driver = start(tmp_path, *ASKED)
    wait_for_rows(tmp_path / "results", 1, driver)
    theirs = all_of(driver.pid)
    second_of_two(driver.pid).send_signal(signal.SIGKILL)
    said, _ = driver.communicate(timeout=200)
    assert driver.returncode == 1, said
    assert "2 cells: 1 complete, 1 crashed" in said
    assert "Traceback" not in said
    rows = pd.read_parquet(next((tmp_path / "results").iterdir()) / "trials").sort_values("started_at")
    whole, killed = rows.to_dict("records")
    assert (whole["status"], whole["n_devices"], whole["global_batch_size"]) == ("complete", 2, 32)
    assert whole["throughput_items_per_s"] > 0
    assert (killed["status"], killed["status_reason"]) == ("crashed", "rank 1 of 2 died")
    _, left = psutil.wait_procs(theirs, timeout=15)
    assert not left
