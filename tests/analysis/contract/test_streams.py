"""No command ends because nobody reads what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEAKS = """
import sys
from analysis.contract.streams import outlive_readers
outlive_readers()
outlive_readers()
for _ in range(3):
    print("\\u2248 " * 5000, flush=True)
    sys.stderr.write("to the end\\n")
"""
PAGE = ("analysis/report.py", "docs/reports/h200/sweeps/finetune-1024/trials.parquet", "--output")


def ended(words: list[str], **streams: int | None) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    return subprocess.run([sys.executable, *words], cwd=root, text=True, check=False, timeout=120, **streams)


def without_reader(words: list[str]) -> subprocess.CompletedProcess[str]:
    """What becomes of a command whose standard output goes into a pipe of which nobody reads."""
    theirs, ours = os.pipe()
    os.close(theirs)
    try:
        return ended(words, stdout=ours, stderr=subprocess.PIPE)
    finally:
        os.close(ours)


def test_a_broken_pipe_or_a_closed_stream_ends_nothing() -> None:
    done = without_reader(["-c", SPEAKS])
    assert (done.returncode, done.stderr) == (0, "to the end\n" * 3)
    closed = ["sh", "-c", f'"{sys.executable}" "$@" >&- 2>&-', "sh", "-c", SPEAKS]
    assert subprocess.run(closed, cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_what_python_does_not_buffer_is_there_at_once() -> None:
    code = SPEAKS.replace('print("\\u2248 " * 5000, flush=True)', 'sys.stdout.write("now "); sys.stdout.write("then ")')
    done = ended(["-u", "-c", f"{code}\nimport os; os._exit(0)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stdout == "now then " * 3


def test_what_cannot_be_shown_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    done = ended(["-c", SPEAKS], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert done.stdout.startswith("\\u2248 \\u2248")


def test_commands_and_pages_are_done_without_a_reader_too(tmp_path: Path) -> None:
    done = without_reader(["accelsweep.py", "--help"])
    assert (done.returncode, done.stderr) == (0, "")
    done = without_reader([*PAGE, str(tmp_path / "report.md")])
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "report.md").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = ended(["accelsweep.py", "--help"], stdout=full.fileno(), stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == "accelsweep: error: cannot write any more: No space left on device\n"
