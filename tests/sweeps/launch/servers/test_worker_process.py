"""The first worker: what it imports ahead, and that it is Ray's own worker all the same."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweeps.launch.servers.worker_process import AHEAD, SOCKET, WORKER_SCRIPT, first_worker

SCRIPT = """
import sys
from workloads.runtime.late import wait_for_imports
wait_for_imports()
print(sys.argv[1:], "torch" in sys.modules, "sweeps.cell.cell_run" in sys.modules, "leftovers" in sys.modules)
try:
    import leftovers
except ImportError:
    print("no module of ours is at the top")
"""


def run(tmp_path: Path, ahead: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(WORKER_SCRIPT), str(script), "--node=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "", AHEAD: ahead}, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_goes_on_as_the_script_it_is_given_with_modules_imported(tmp_path: Path) -> None:
    told = run(tmp_path, "json sweeps.cell.cell_run")
    assert told == "['--node=1'] True True False\nno module of ours is at the top\n"


def test_what_cannot_be_imported_ahead_ends_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "no.such.module").startswith("['--node=1'] ")


HANDED = """
import json, os, sys, time
told = [sys.argv, os.getcwd(), os.environ.get("TOLD"), os.environ.get("BEFORE"), "torch" in sys.modules, os.getpid()]
with open(sys.argv[1], "w") as file:
    json.dump(told, file)
time.sleep(float(sys.argv[2]))
"""


def as_ray_does(script: Path, *arguments: str, folder: Path) -> None:
    """Start a worker, and wait until the process that was started has ended."""
    environment = {**{k: v for k, v in os.environ.items() if k != "BEFORE"}, "TOLD": "by Ray"}
    command = [sys.executable, str(WORKER_SCRIPT), str(script), *arguments]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=60)


def read(file: Path) -> Any:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(file.read_text())
        time.sleep(0.02)
    raise AssertionError(f"no {file}")


def test_a_process_that_waits_becomes_the_first_worker_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "folder"
    script.write_text(HANDED)
    folder.mkdir()
    monkeypatch.setenv("BEFORE", "of the driver alone")
    with first_worker(("json",)):
        (waiting,) = (p for p in psutil.Process().children() if str(WORKER_SCRIPT) in p.cmdline())
        as_ray_does(script, str(tmp_path / "1"), "600", folder=folder)
        argv, cwd, told, before, _, pid = read(tmp_path / "1")
        assert (argv, cwd) == ([str(script), str(tmp_path / "1"), "600"], str(folder))
        assert (told, before, pid) == ("by Ray", None, waiting.pid)
        as_ray_does(script, str(tmp_path / "2"), "0", folder=folder)  # which becomes a worker itself
        assert read(tmp_path / "2")[-1] != waiting.pid
        assert waiting.is_running()
    waiting.wait(10)  # it leaves no zombie
    assert not {AHEAD, SOCKET} & set(os.environ)


def test_where_the_waiting_process_died_a_worker_is_one_itself(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(HANDED)
    with first_worker(("json",)):
        (waiting,) = (p for p in psutil.Process().children() if str(WORKER_SCRIPT) in p.cmdline())
        waiting.kill()
        waiting.wait(10)
        as_ray_does(script, str(tmp_path / "1"), "0", folder=tmp_path)
    assert read(tmp_path / "1")[0] == [str(script), str(tmp_path / "1"), "0"]


def test_one_that_was_never_taken_is_ended() -> None:
    with first_worker(("json",)):
        (waiting,) = (p for p in psutil.Process().children() if str(WORKER_SCRIPT) in p.cmdline())
    waiting.wait(10)


def test_without_anything_to_import_none_waits() -> None:
    with first_worker(()):
        assert SOCKET not in os.environ
