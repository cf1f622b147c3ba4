"""Odd places to run in, several at a time: a sweep measures its cells and says what is odd."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.conftest import ROOT
from tests.sweeps.whole.faulty.faults import in_own_mounts

LINUX_ROOT = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root on Linux changes what is mounted"
)


def run_on_a_terminal(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run on a pseudo-terminal of 80 columns; exit code and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # EIO: the other side is closed
                return
            if not part:
                return
            shown.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    code = process.wait(270)
    reader.join(10)
    os.close(ours)
    return code, b"".join(shown).decode("ascii")


@LINUX_ROOT
@pytest.mark.slow
def test_no_home_a_dumb_terminal_an_ascii_locale_a_checkout_read_only_one_cpu_and_a_tiny_dev_shm(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "COLUMNS", "LANG"}}
    environment |= {
        "TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii",
        "COLUMNS": "80", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    prefix = in_own_mounts(
        "mount --make-rprivate /", f"mount --bind '{ROOT}' '{ROOT}'", f"mount -o remount,bind,ro '{ROOT}'",
        "mount -t tmpfs -o size=8m tmpfs /dev/shm",
    )  # fmt: skip
    command = [
        *prefix, "taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), sys.executable, str(ROOT / "sweeps" / "run.py"),
        "image-processing", "--smoke", "--max-s", "0.1", "--device", "cpu", "--pipeline", "resize", "--batch-size", "1", "2", "--output", "results",
    ]  # fmt: skip
    code, shown = run_on_a_terminal(command, folder, environment)
    assert code == 0, shown
    assert "Traceback" not in shown
    assert "2 cells: 2 complete" in shown
    assert "/dev/shm has 8 MB free" in shown
    # colorama, which Ray brings, resets the colours of every terminal when a process ends.
    assert "\x1b" not in shown.removesuffix("\x1b[0m"), "no control sequences on a dumb terminal"
    (sweep,) = (folder / "results").iterdir()
    rows = pd.read_parquet(sweep / "trials")
    assert rows["status"].tolist() == ["complete", "complete"]
    assert set(rows["n_threads"]) == {1}
    assert set(rows["n_cpus"]) == {1}
    report = (sweep / "report.md").read_text(encoding="utf-8")
    assert "resize" in report
    again = subprocess.run(
        [sys.executable, str(ROOT / "analysis" / "report.py"), str(folder / "results")],
        capture_output=True, check=False, env=environment, cwd=folder,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
