"""Cells on two processes of the CPU, whole sweeps: a failure, a hang and the death of one are one row, and nothing is left."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from sweeps.commands import main
from tests.sweeps.installed import install
from tests.sweeps.whole.driving import n_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif((psutil.cpu_count() or 1) < 2, reason="a process needs a CPU of its own"),
]
WHO = "rank 1 of 2"
PLAIN = ("--device", "cpu", "--min-s", "0.01", "--max-s", "0.1", "--no-report", "--no-recheck", "--output", "out")
TRAINING = ("finetune", "--device", "cpu", "--n-devices", "2", "--model", "squeezenet1_1", "--image-size", "32", "--batch-size",
            "16", "--precision", "fp32", "--parallel", "fsdp", "ddp", "--max-train-s", "0.5", "--max-s", "0.1", "--pruner", "none",
            "--no-recheck", "--no-report", "--output", "out")  # fmt: skip


def processes() -> list[str]:
    """What Ray still runs of cells on several devices; it may take some seconds to end them."""
    for _ in range(100):
        found = [p.info["name"] for p in psutil.process_iter(["name"]) if "Rank" in (p.info["name"] or "")]
        if not found:
            break
        time.sleep(0.2)
    return found


def test_two_processes_are_one_row_and_a_failure_or_hang_of_one_is_too(
    shared_ray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(shared_ray, "pair:Pair", Path(__file__).with_name("pair.py").read_text())
    monkeypatch.setattr("sweeps.launch.tune_plugins.HANG_S", 8.0)
    main(["pair", *PLAIN, "--n-devices", "1", "2", "99", "--does", "fine", "fail", "stop"])
    rows = pd.read_parquet(next((tmp_path / "out").iterdir()) / "trials").to_dict("records")
    found = {(json.loads(row["options"])["does"], row["n_devices"]): row for row in rows}
    one, two = found["fine", 1], found["fine", 2]
    assert (one["status"], two["status"]) == ("complete", "complete"), two["error_message"]
    assert (one["items_per_step"], two["items_per_step"], two["global_batch_size"]) == (3, 6, 6)
    assert one["n_threads"] >= two["n_threads"] >= 1
    assert two["worker_pid"] != one["worker_pid"]

    assert found["fail", 1]["status"] == "complete", "of one device nobody fails"
    failed = found["fail", 2]
    assert (failed["status"], failed["error_type"]) == ("error", "ValueError")
    assert failed["status_reason"] == f"{WHO}: no such luck"
    assert failed["error_frames"]
    hung = found["stop", 2]
    assert (hung["status"], hung["status_reason"]) == ("timeout", f"{WHO} hangs")
    many = found["fine", 99]
    assert many["status"] == "unsupported"
    assert many["status_reason"].startswith("needs 99 CPUs in one node; the most that one has is ")
    assert not processes()


def kill_the_second_of_two(results: Path) -> None:
    """Once a row is there, the process that follows the first, as soon as it does."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True) if n_rows(results) else ():
            with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
                if "".join(process.cmdline()).rstrip().endswith("Rank.follow"):
                    process.send_signal(signal.SIGKILL)
                    return
        time.sleep(0.02)


@pytest.mark.usefixtures("shared_ray")
def test_the_death_of_one_process_of_a_training_is_one_row_and_the_cell_before_it_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killer = threading.Thread(target=kill_the_second_of_two, args=(tmp_path / "out",))
    killer.start()
    code = main([*TRAINING])
    killer.join()
    said = capsys.readouterr().out
    assert code == 1, said
    assert "2 cells: 1 complete, 1 crashed" in said
    assert "Traceback" not in said
    rows = pd.read_parquet(next((tmp_path / "out").iterdir()) / "trials").sort_values("started_at")
    whole, killed = rows.to_dict("records")
    assert (whole["status"], whole["n_devices"], whole["global_batch_size"]) == ("complete", 2, 32), whole[
        "error_message"
    ]
    assert whole["parallel"] == "fsdp"
    assert whole["throughput_items_per_s"] > 0
    assert (killed["status"], killed["status_reason"]) == ("crashed", "rank 1 of 2 died")
    assert not processes()
