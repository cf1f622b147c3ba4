"""What the README shows of Python, run in odd places, several at a time: it measures its cells and says what is odd."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from analysis.read.sweep import load_sweep
from tests.sweeps.conftest import ROOT
from tests.sweeps.whole.faulty.faults import in_own_mounts

IS_LINUX_ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
"""Others change nothing that is mounted; there the places are less odd."""
NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""
SHOWN = next(
    b for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "import sweep" in b
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


def in_odd_mounts_on_one_cpu() -> list[str]:
    """A prefix that runs a command with a checkout that is read-only, a tiny /dev/shm and one CPU, where it may."""
    if not IS_LINUX_ROOT:
        return []
    return [
        *in_own_mounts(
            "mount --make-rprivate /", f"mount --bind '{ROOT}' '{ROOT}'", f"mount -o remount,bind,ro '{ROOT}'",
            "mount -t tmpfs -o size=8m tmpfs /dev/shm",
        ),
        "taskset", "--cpu-list", str(min(os.sched_getaffinity(0))),
    ]  # fmt: skip


@pytest.mark.slow
def test_no_home_a_dumb_terminal_an_ascii_locale_a_checkout_read_only_one_cpu_and_a_tiny_dev_shm(
    tmp_path: Path,
) -> None:
    """What the README shows, as a script without ``if __name__ == "__main__"``, gives the rows there."""
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    assert len(SHOWN.strip().splitlines()) <= 5
    script = SHOWN.replace('device=["cpu"]', 'device=["cpu"], smoke=True, max_s=0.1')
    assert script != SHOWN
    (folder / "mine.py").write_text(f"open('ran.txt', 'a').write('once ')\n{script}\nframe.to_csv('rows.csv')\n")
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "COLUMNS", "LANG"}}
    environment |= {
        "TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii",
        "COLUMNS": "80", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    code, shown = run_on_a_terminal([*in_odd_mounts_on_one_cpu(), sys.executable, "mine.py"], folder, environment)
    assert code == 0, shown
    assert (folder / "ran.txt").read_text() == "once ", "no process of the sweep runs the script"
    assert "Traceback" not in shown
    assert "2 cells: 2 complete" in shown
    assert "throughput_items_per_s" in shown
    # colorama, which Ray brings, resets the colours of every terminal when a process ends.
    assert "\x1b" not in shown.removesuffix("\x1b[0m"), "no control sequences on a dumb terminal"
    rows = load_sweep(folder / "results")
    assert set(rows["status"]) == {"complete"}
    assert sorted(rows["batch_size"]) == [1, 8]
    assert set(rows["model"]) == {"net.py:build"}
    assert len((folder / "rows.csv").read_text().splitlines()) == len(rows) + 1
    if IS_LINUX_ROOT:
        assert "/dev/shm has 8 MB free" in shown
        assert set(rows["n_threads"]) == {1}
        assert set(rows["n_cpus"]) == {1}
    (sweep,) = (folder / "results").iterdir()
    assert "net.py:build" in (sweep / "report.md").read_text(encoding="utf-8")
    for command in (["analysis/report.py", "results"], ["sweeps/run.py", "list"]):
        ended = subprocess.run(
            [sys.executable, str(ROOT / command[0]), command[1]],
            capture_output=True, check=False, env=environment, cwd=folder,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
    assert sweep.name in ended.stdout.decode("ascii")
